import { InvalidArgumentError as InvalidOption } from "commander";

/** An option that is a whole number from 0. What is too large is the store's to refuse. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidOption("It must be a whole number.");
  return Number(text);
}

/** An option that is a whole number from 1. */
export function parseLimit(text: string): number {
  const limit = parseCount(text);
  if (limit === 0) throw new InvalidOption("It must be at least 1.");
  return limit;
}
