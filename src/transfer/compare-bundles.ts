import { isDeepStrictEqual } from "node:util";
import type { RunBundle } from "../model/bundles.ts";
import { bundleParts, rowsOf, type BundlePart, type BundleRow } from "./bundle-parts.ts";

/** Where two bundles of a run are not the same, in words without payloads. Empty when they are equal. */
export function compareBundles(a: RunBundle, b: RunBundle): string[] {
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
