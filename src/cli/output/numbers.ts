import { InvalidArgumentError as InvalidOption } from "commander";

/** Parses a whole number from 0. The store refuses a value that is too large. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidOption("It must be a whole number.");
  return Number(text);
}

/** Parses a whole number from 1. */
export function parseLimit(text: string): number {
  const limit = parseCount(text);
  if (limit === 0) throw new InvalidOption("It must be at least 1.");
  return limit;
}
