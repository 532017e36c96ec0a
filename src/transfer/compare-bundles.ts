import { isDeepStrictEqual } from "node:util";
import type { RunBundle } from "../model/bundles.ts";
import { bundleParts, rowsOf, type BundlePart, type BundleRow } from "./bundle-parts.ts";

/** A run that two stores do not hold alike. */
export interface RunDifference {
  readonly runId: string;
  /** `differs` if both have it. */
  readonly kind: "missing in the first" | "missing in the second" | "differs";
  /** One sentence per difference, without payloads: `steps[charge].status is RUNNING in the first and …`. */
  readonly details: readonly string[];
}

/** Null if the bundles are equal, or if neither exists. */
export function differenceOf(
  runId: string,
  a: RunBundle | undefined,
  b: RunBundle | undefined,
): RunDifference | null {
  if (a === undefined && b === undefined) return null;
  if (a === undefined) return { runId, kind: "missing in the first", details: [] };
  if (b === undefined) return { runId, kind: "missing in the second", details: [] };
  const details = bundleParts.flatMap((part) => {
    const [left, right] = [rowsByKey(a, part), rowsByKey(b, part)];
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) =>
      compareRows(left.get(key), right.get(key), part, key === "" ? "" : `${part.name}[${key}]`),
    );
  });
  return details.length === 0 ? null : { runId, kind: "differs", details };
}

function rowsByKey(bundle: RunBundle, part: BundlePart): Map<string, BundleRow> {
  return new Map(
    rowsOf(bundle, part).map((row) => [part.keys.map((key) => String(row[key])).join(", "), row]),
  );
}

function compareRows(
  a: BundleRow | undefined,
  b: BundleRow | undefined,
  part: BundlePart,
  place: string,
): string[] {
  if (a === undefined) return [`${place} is missing in the first`];
  if (b === undefined) return [`${place} is missing in the second`];
  return part.properties
    .filter((property) => !isDeepStrictEqual(a[property], b[property]))
    .map((property) => {
      const name = place === "" ? property : `${place}.${property}`;
      return part.payloads.has(property)
        ? `${name} differs`
        : `${name} is ${textOf(a[property])} in the first and ${textOf(b[property])} in the second`;
    });
}

function textOf(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}

/** The difference in words, a line for each detail. */
export function describeDifference({ runId, kind, details }: RunDifference): string {
  if (kind !== "differs") return `run ${runId} is ${kind}`;
  return details.map((detail) => `run ${runId}: ${detail}`).join("\n");
}
