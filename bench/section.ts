import type { Measurement } from "./measure.ts";

/** A number of the design beside what was measured. */
export interface Target {
  readonly what: string;
  /** `at least` 8 times the rate, `at most` 1.5 times the time, or a time in its unit. */
  readonly bound: "at least" | "at most";
  readonly value: number;
  readonly unit: "×" | "ms" | "µs" | "KB";
  readonly measured: number;
}

/** What one workload came to. */
export interface Section {
  readonly title: string;
  /** The work, the durability, and how many rows were counted at the end. */
  readonly how: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
}

export const holds = ({ bound, value, measured }: Target): boolean =>
  bound === "at least" ? measured >= value : measured <= value;

export const measurementHeader = [
  "subject",
  "median, µs",
  "p50, µs",
  "p99, µs",
  "longest hold of the event loop, ms",
  "against the first",
];

/** The measurements as rows of a table, each with its rate against that of the first one. */
export function measurementRows(
  label: string,
  measurements: readonly Measurement[],
): readonly (readonly string[])[] {
  const [first] = measurements;
  return measurements.map(({ subject, us, p50, p99, loopMs }) => [
    `${label}${label === "" ? "" : ": "}${subject}`,
    rounded(us),
    rounded(p50),
    rounded(p99),
    rounded(loopMs),
    first === undefined ? "" : `${(first.us / us).toFixed(2)}×`,
  ]);
}

export const rounded = (value: number): string =>
  value >= 100 ? Math.round(value).toString() : value.toPrecision(3);

/** The measurement of one of the subjects. */
export function of(measurements: readonly Measurement[], subject: string): number {
  const found = measurements.find((each) => each.subject === subject);
  if (found === undefined) throw new Error(`${subject} was not measured`);
  return found.us;
}

/** A number with lost rows is void. */
export function expectRows(subject: string, found: number, acknowledged: number): void {
  if (found === acknowledged) return;
  throw new Error(`${subject}: ${acknowledged} rows were acknowledged and ${found} are there`);
}

/** How many times the rate of another subject ours is. */
export function rateAgainst(
  what: string,
  value: number,
  measurements: readonly Measurement[],
  other: string,
): Target {
  const measured = of(measurements, other) / of(measurements, "gorkflow");
  return { what: `${what}: rate`, bound: "at least", value, unit: "×", measured };
}

/** How many times the time of another subject ours takes. */
export function timeAgainst(
  what: string,
  value: number,
  measurements: readonly Measurement[],
  other: string,
): Target {
  const measured = of(measurements, "gorkflow") / of(measurements, other);
  return { what, bound: "at most", value, unit: "×", measured };
}
