import * as z from "zod";
import { idSchema, runStatusSchema, tagsSchema } from "../schema/zod.ts";
import type { Tags } from "../schema/json-types.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { parseArgument } from "../arguments.ts";
import { limitSchema, operationShape } from "./arguments.ts";
import { decodeCursor, encodeCursor, type StoredPosition } from "./cursors.ts";

/** Conditions on runs. A run must match all of them. */
export interface RunFilter {
  readonly workflowId?: string | undefined;
  /** One status, or several, of which one must match. */
  readonly status?: RunStatus | readonly RunStatus[] | undefined;
  readonly resourceId?: string | undefined;
  /** The run must have every pair. Tags have no index, so combine this with a narrower condition. */
  readonly tags?: Readonly<Tags> | undefined;
  /** Inclusive. */
  readonly createdAfter?: Date | undefined;
  /** Exclusive. */
  readonly createdBefore?: Date | undefined;
}

/** A query for a page of runs. */
export interface RunQuery extends RunFilter {
  /** 1 to 1000. Defaults to 100. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the previous page of a query with the same filter. */
  readonly cursor?: string | null | undefined;
}

/** A validated filter with its defaults. */
export interface ParsedRunFilter {
  readonly workflowId: string | null;
  /** Distinct statuses in a fixed order; null for any. */
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
  /** The last row of the previous page; null for the first page. */
  readonly after: StoredPosition | null;
}

interface Aborted {
  readonly signal: AbortSignal | undefined;
}

/**
 * The maximum bytes of JSON in a page, apart from its first row. The response of a libSQL server is limited to 10 MB,
 * and all stores use the same limit.
 */
export const pageBytes = 4 * 1024 * 1024;

/**
 * Bytes that each row of a step, an attempt, an output or a state value adds to a page of bundles besides its JSON, for
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

/** @throws {InvalidArgumentError} if the filter is invalid. */
export function parseCountFilter(filter: unknown): ParsedRunFilter & Aborted {
  const parsed = parseArgument(countSchema, filter, "filter");
  return { ...normalizeFilter(parsed), signal: parsed.signal };
}

/** @throws {InvalidArgumentError} if the query is invalid, or its cursor belongs to another filter. */
export function parseListQuery(
  query: unknown,
): ParsedRunQuery & Aborted & { readonly payloads: boolean } {
  const { signal, payloads = false, ...parsed } = parseArgument(listSchema, query, "query");
  return { ...parsePage(parsed, normalizeFilter(parsed), "list"), payloads, signal };
}

/** @throws {InvalidArgumentError} if the query is invalid, or its cursor belongs to another filter. */
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

/** The cursor that continues after `last`. Cursors of lists and of bundle queries are not interchangeable. */
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

/** True if the run matches the filter. `MemoryStore` uses it as its where clause. */
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
 * The number of rows that fit into a page: as many as have at most `pageBytes` together, and at least one. `sizes` are
 * the bytes of JSON of each row, in order.
 */
export function countWithinPage(sizes: readonly number[]): number {
  let total = 0;
  for (const [index, size] of sizes.entries()) {
    total += size;
    if (index > 0 && total > pageBytes) return index;
  }
  return sizes.length;
}
