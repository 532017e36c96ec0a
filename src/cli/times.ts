import { InvalidArgumentError as InvalidOption } from "commander";
import ms, { type StringValue } from "ms";

/** How options that take a time are to be written. */
export const timeForms = "2026-01-31, 2026-01-31T12:00:00Z, or an age: 90d, 12h, 30m";

/** A time, or how long ago it was. */
export function parseTime(text: string): Date {
  const age = parseMilliseconds(text);
  const time = age === null ? new Date(text) : new Date(Date.now() - age);
  const isDate = /^\d{4}-\d\d-\d\d/.test(text);
  if (Number.isNaN(time.getTime()) || (age === null && !isDate)) {
    throw new InvalidOption(`A time is ${timeForms}.`);
  }
  return time;
}

/** A length of time, in milliseconds. */
export function parseDuration(text: string): number {
  const duration = parseMilliseconds(text);
  if (duration === null) throw new InvalidOption("A length of time is 90d, 12h, 30m, 10s.");
  return duration;
}

/** Null when the text is no number with a unit. */
function parseMilliseconds(text: string): number | null {
  if (!/^\d+(\.\d+)? ?[a-z]+$/i.test(text)) return null;
  const duration: number | undefined = ms(text as StringValue);
  return duration === undefined || Number.isNaN(duration) ? null : duration;
}
