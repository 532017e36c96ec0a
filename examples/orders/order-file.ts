import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

export interface OrderFile {
  /** The JSON objects of the file. */
  readonly orders: readonly Record<string, unknown>[];
  /** The numbers of the other lines, from 1. */
  readonly unreadableLines: readonly number[];
}

/** Reads a file of JSON lines. */
export async function readOrders(path: string): Promise<OrderFile> {
  const orders: Record<string, unknown>[] = [];
  const unreadableLines: number[] = [];
  let number = 0;
  for await (const line of createInterface({
    input: createReadStream(path),
    crlfDelay: Infinity,
  })) {
    number += 1;
    if (line.trim() === "") continue;
    const order = parseObject(line);
    if (order === null) unreadableLines.push(number);
    else orders.push(order);
  }
  return { orders, unreadableLines };
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}
