import { InvalidArgumentError as InvalidOption } from "commander";

/** The forms of a time in options. */
export const timeForms = "2026-01-31, 2026-01-31T12:00:00Z, or an age: 90d, 12h, 30m";

const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
type Unit = keyof typeof unitMs;

/** Parses a time or an age. A date without a zone is in UTC. */
export function parseTime(text: string): Date {
  if (/^\d{4}-/.test(text)) return parseDate(text);
  const age = millisecondsOf(text);
  const time = new Date(Date.now() - (age ?? Number.NaN));
  if (Number.isNaN(time.getTime()) || time.getUTCFullYear() < 0) {
    throw new InvalidOption(`A time is ${timeForms}.${hintFor(text)}`);
  }
  return time;
}

/** Parses a duration; returns milliseconds. */
export function parseDuration(text: string): number {
  const duration = millisecondsOf(text);
  if (duration === null || !Number.isSafeInteger(duration)) {
    throw new InvalidOption(`A length of time is 2w, 90d, 12h, 30m or 10s.${hintFor(text)}`);
  }
  return duration;
}

/** Null if the text is not a number with a unit. */
function millisecondsOf(text: string): number | null {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text) ?? [];
  if (number === undefined) return null;
  return Math.round(Number(number) * unitMs[unit as Unit]);
}

/** `6M` could mean six minutes or six months. */
function hintFor(text: string): string {
  return /^\d+(\.\d+)?\s*(mo|months?|M|y|years?)$/i.test(text) && !text.endsWith("m")
    ? " Months and years have no fixed length: give days, 180d."
    : " Units are s, m (minutes), h, d, w, in lower case.";
}

const datePattern =
  /^(\d{4}-\d\d-\d\d)(?:T([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/;

function parseDate(text: string): Date {
  const [, day = "", hour, zone] = datePattern.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  // JavaScript turns 31 February into a day of March, and reads a time without a zone as local.
  const exists = !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
  const time = new Date(hour === undefined || zone !== undefined ? text : `${text}Z`);
  if (day === "" || !exists || Number.isNaN(time.getTime())) {
    throw new InvalidOption(
      `A time is ${timeForms}. A date must exist; without a zone it is in UTC.`,
    );
  }
  return time;
}
