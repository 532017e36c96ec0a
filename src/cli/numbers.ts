import { InvalidArgumentError as InvalidOption } from "commander";

/** An option that is a whole number from 0. What is too large is the store's to refuse. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidOption("It must be a whole number.");
  return Number(text);
}
