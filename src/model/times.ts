import * as z from "zod/mini";
import { maxTimerMs } from "../async/pause.ts";

/** A delay of a timer in milliseconds. */
export const timerMsSchema = z.int().check(z.minimum(0), z.maximum(maxTimerMs));
export const positiveTimerMsSchema = z.int().check(z.minimum(1), z.maximum(maxTimerMs));

/** The earliest time; null if there is none. */
export function earliest(times: readonly (Date | null)[]): Date | null {
  let first: Date | null = null;
  for (const time of times) {
    if (time !== null && (first === null || time < first)) first = time;
  }
  return first;
}
