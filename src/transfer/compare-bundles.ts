import { isDeepStrictEqual } from "node:util";
import type { RunBundle } from "../model/bundles.ts";
import { bundleParts, rowsOf, type BundlePart, type BundleRow } from "./bundle-parts.ts";

/** The differences of two bundles of a run, in words without payloads. Empty when they are equal. */
function compareBundles(a: RunBundle, b: RunBundle): string[] {
  return bundleParts.flatMap((part) => {
    const [left, right] = [rowsByKey(a, part), rowsByKey(b, part)];
    return [...new Set([...left.keys(), ...right.keys()])].flatMap((key) =>
      compareRows(
        left.get(key),
        right.get(key),
        part,
        part.keys.length === 0 ? "" : `${part.name}[${key}]`,
      ),
    );
  });
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

/** A run that the stores do not hold alike. */
export interface RunDifference {
  readonly runId: string;
  /** `differs` when both have it. */
  readonly kind: "missing in the first" | "missing in the second" | "differs";
  /** What is not the same, in sentences without payloads: `steps[charge].status is RUNNING in the first and …`. */
  readonly details: readonly string[];
}

export function differenceOf(
  runId: string,
  a: RunBundle | null,
  b: RunBundle | null,
): RunDifference | null {
  if (a === null) return { runId, kind: "missing in the first", details: [] };
  if (b === null) return { runId, kind: "missing in the second", details: [] };
  const details = compareBundles(a, b);
  return details.length === 0 ? null : { runId, kind: "differs", details };
}
