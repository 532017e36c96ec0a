import * as z from "zod";
import { idSchema, runStatusSchema, tagsSchema } from "../schema/zod.ts";
import type { Tags } from "../schema/json-types.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { parseArgument } from "../arguments.ts";
import { limitSchema, operationShape } from "./arguments.ts";
import { decodeCursor, encodeCursor, type StoredPosition } from "./cursors.ts";

/** Which runs: all conditions must hold. */
export interface RunFilter {
  readonly workflowId?: string | undefined;
  /** One status, or any of several. */
  readonly status?: RunStatus | readonly RunStatus[] | undefined;
  readonly resourceId?: string | undefined;
  /** Every pair must be among the run's tags. Walks another index: combine it with a narrower condition. */
  readonly tags?: Readonly<Tags> | undefined;
  /** Inclusive. */
  readonly createdAfter?: Date | undefined;
  /** Exclusive. */
  readonly createdBefore?: Date | undefined;
}

/** A page of runs. */
export interface RunQuery extends RunFilter {
  /** 1 to 1000; 100 when absent. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before, of a query with the same filter. */
  readonly cursor?: string | null | undefined;
}

/** A filter as the stores carry it out: nothing left to interpret. */
export interface ParsedRunFilter {
  readonly workflowId: string | null;
  /** Distinct, in the order of a run's life; null for any. */
  readonly statuses: readonly RunStatus[] | null;
  readonly resourceId: string | null;
  readonly tags: Readonly<Tags> | null;
  readonly createdAfter: Date | null;
  readonly createdBefore: Date | null;
  /** Only these runs; null for any. */
  readonly runIds: readonly string[] | null;
}

export interface ParsedRunQuery extends ParsedRunFilter {
  readonly limit: number;
  /** The last row of the page before; null at the beginning. */
  readonly after: StoredPosition | null;
}

interface Aborted {
  readonly signal: AbortSignal | undefined;
}

/**
 * The most bytes of JSON that one page holds, after its first row: a libSQL server's answer may not be larger
 * than 10 MB, and pages are cut alike on every store.
 */
export const pageBytes = 4 * 1024 * 1024;

/**
 * What each row of a step, an attempt, an output or a state value counts for in a page of bundles, beside its JSON:
 * its ids, times and numbers.
 */
export const bundleRowBytes = 2048;

const filterShape = {
  workflowId: idSchema.optional(),
  status: z.union([runStatusSchema, z.array(runStatusSchema).min(1)]).optional(),
  resourceId: idSchema.optional(),
  tags: tagsSchema.optional(),
  createdAfter: z.date().optional(),
  createdBefore: z.date().optional(),
};

const pageShape = { limit: limitSchema.optional(), cursor: z.string().nullish() };
/** Which runs. */
export const runFilterSchema = z.strictObject(filterShape);
const countSchema = z.strictObject({ ...filterShape, ...operationShape });
const listSchema = z.strictObject({
  ...filterShape,
  ...pageShape,
  payloads: z.boolean().optional(),
  ...operationShape,
});
const bundlesSchema = z.strictObject({
  filter: runFilterSchema.optional(),
  runIds: z.array(idSchema).min(1).max(1000).optional(),
  ...pageShape,
  ...operationShape,
});

/** @throws {InvalidArgumentError} that names the field. */
export function parseCountFilter(filter: unknown): ParsedRunFilter & Aborted {
  const parsed = parseArgument(countSchema, filter, "filter");
  return { ...normalizeFilter(parsed), signal: parsed.signal };
}

/** @throws {InvalidArgumentError} that names the field; for a cursor that comes from another filter, too. */
export function parseListQuery(
  query: unknown,
): ParsedRunQuery & Aborted & { readonly payloads: boolean } {
  const { signal, payloads = false, ...parsed } = parseArgument(listSchema, query, "query");
  return { ...parsePage(parsed, normalizeFilter(parsed), "list"), payloads, signal };
}

/** @throws {InvalidArgumentError} that names the field; for a cursor that comes from another filter, too. */
export function parseBundleQuery(query: unknown): ParsedRunQuery & Aborted {
  const { signal, ...parsed } = parseArgument(bundlesSchema, query, "query");
  const filter = {
    ...normalizeFilter(parsed.filter ?? {}),
    runIds: parsed.runIds === undefined ? null : [...new Set(parsed.runIds)],
  };
  return { ...parsePage(parsed, filter, "bundles"), signal };
}

function parsePage(
  page: { limit?: number | undefined; cursor?: string | null | undefined },
  filter: ParsedRunFilter,
  kind: "list" | "bundles",
): ParsedRunQuery {
  return {
    ...filter,
    limit: page.limit ?? 100,
    after: page.cursor == null ? null : decodeCursor(page.cursor, fingerprint(kind, filter)),
  };
}

/** The cursor that continues after `last`. A list's and a bundle query's cursors are not interchangeable. */
export function nextListCursor(filter: ParsedRunFilter, last: StoredPosition): string {
  return encodeCursor(last, fingerprint("list", filter));
}

export function nextBundleCursor(filter: ParsedRunFilter, last: StoredPosition): string {
  return encodeCursor(last, fingerprint("bundles", filter));
}

function normalizeFilter(filter: RunFilter): ParsedRunFilter {
  const { status } = filter;
  const wanted =
    status === undefined ? null : new Set(typeof status === "string" ? [status] : status);
  const tags = filter.tags ?? null;
  return {
    workflowId: filter.workflowId ?? null,
    statuses: wanted && runStatuses.filter((name) => wanted.has(name)),
    resourceId: filter.resourceId ?? null,
    tags: tags === null || Object.keys(tags).length === 0 ? null : tags,
    createdAfter: filter.createdAfter ?? null,
    createdBefore: filter.createdBefore ?? null,
    runIds: null,
  };
}

function fingerprint(kind: string, filter: ParsedRunFilter): string {
  return JSON.stringify([
    kind,
    filter.workflowId,
    filter.statuses,
    filter.resourceId,
    filter.tags && Object.entries(filter.tags).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    filter.createdAfter?.getTime() ?? null,
    filter.createdBefore?.getTime() ?? null,
    filter.runIds?.toSorted() ?? null,
  ]);
}

/** True when the run fulfils every condition of the filter: `MemoryStore`'s where clause. */
export function matchesFilter(
  run: {
    readonly workflowId: string;
    readonly status: RunStatus;
    readonly resourceId: string | null;
    readonly tags: Readonly<Tags> | null;
    readonly createdAt: Date;
  },
  filter: ParsedRunFilter,
): boolean {
  const { tags } = filter;
  return (
    (filter.workflowId === null || run.workflowId === filter.workflowId) &&
    (filter.statuses === null || filter.statuses.includes(run.status)) &&
    (filter.resourceId === null || run.resourceId === filter.resourceId) &&
    (filter.createdAfter === null || run.createdAt >= filter.createdAfter) &&
    (filter.createdBefore === null || run.createdAt < filter.createdBefore) &&
    (tags === null || Object.keys(tags).every((name) => hasTag(run.tags, name, tags[name])))
  );
}

function hasTag(tags: Readonly<Tags> | null, name: string, value: string | undefined): boolean {
  return tags !== null && Object.hasOwn(tags, name) && tags[name] === value;
}

/**
 * How many rows of a page fit: as many as stay within `pageBytes` together, and at least one.
 *
 * `sizes` are the bytes of JSON of each row, in the page's order.
 */
export function countWithinPage(sizes: readonly number[]): number {
  let total = 0;
  for (const [index, size] of sizes.entries()) {
    total += size;
    if (index > 0 && total > pageBytes) return index;
  }
  return sizes.length;
}
