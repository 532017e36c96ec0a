import * as z from "zod/mini";
import { compiledObject } from "../schema/compiled-object.ts";
import { idSchema, runStatusSchema, tagsSchema } from "../schema/zod.ts";
import type { Tags } from "../schema/json-types.ts";
import { runStatuses, type RunStatus } from "../statuses.ts";
import { parseArgument } from "../arguments.ts";
import { dateSchema, limitSchema, operationShape } from "./arguments.ts";
import { decodeCursor, encodeCursor, type RunPosition, type StoredPosition } from "./cursors.ts";
import type { WorkflowRun } from "../schema/rows.ts";

/** Conditions on runs. A run must match all of them. */
export interface RunFilter<Status extends RunStatus = RunStatus> {
  readonly workflowId?: string | undefined;
  /** One status, or several, of which one must match. */
  readonly status?: Status | readonly Status[] | undefined;
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
  /** A `nextCursor` or `prevCursor` of a page of a query with the same filter. */
  readonly cursor?: string | null | undefined;
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
  workflowId: z.optional(idSchema),
  status: z.optional(z.union([runStatusSchema, z.array(runStatusSchema).check(z.minLength(1))])),
  resourceId: z.optional(idSchema),
  tags: z.optional(tagsSchema),
  createdAfter: z.optional(dateSchema),
  createdBefore: z.optional(dateSchema),
};

const pageShape = { limit: z.optional(limitSchema), cursor: z.nullish(z.string()) };
export const runFilterSchema = compiledObject(filterShape);
const countSchema = compiledObject({ ...filterShape, ...operationShape });
const listSchema = compiledObject({
  ...filterShape,
  ...pageShape,
  payloads: z.optional(z.boolean()),
  ...operationShape,
});
const runIdsSchema = z.array(idSchema).check(z.maxLength(1000));
const bundlesSchema = compiledObject({
  filter: z.optional(runFilterSchema),
  runIds: z.optional(runIdsSchema.check(z.minLength(1))),
  ...pageShape,
  ...operationShape,
});

/** A valid filter with its defaults. */
export type ParsedRunFilter = Readonly<ReturnType<typeof parseFilter>>;

export interface ParsedRunQuery extends ParsedRunFilter {
  readonly limit: number;
  /** The page begins after this row; null for the first page. */
  readonly after: StoredPosition | null;
  /** True if the page ends before the row `after` instead. */
  readonly isBackward: boolean;
}

/** @throws {InvalidArgumentError} if the filter is invalid. */
export function parseCountFilter(filter: unknown) {
  const { signal, ...parsed } = parseArgument(countSchema, filter, "filter");
  return { ...parseFilter(parsed), signal };
}

/** The ids, each once. @throws {InvalidArgumentError} if one is invalid, or there are more than 1000. */
export function parseRunIds(runIds: unknown): readonly string[] {
  return [...new Set(parseArgument(runIdsSchema, runIds, "runIds"))];
}

/** @throws {InvalidArgumentError} if the query is invalid, or its cursor belongs to another filter. */
export function parseListQuery(query: unknown) {
  const { signal, payloads = false, ...parsed } = parseArgument(listSchema, query, "query");
  return { ...parsePage(parsed, parseFilter(parsed), "list"), payloads, signal };
}

/** @throws {InvalidArgumentError} if the query is invalid, or its cursor belongs to another filter. */
export function parseBundleQuery(query: unknown) {
  const { signal, ...parsed } = parseArgument(bundlesSchema, query, "query");
  const filter = parseFilter(parsed.filter ?? {}, parsed.runIds);
  return { ...parsePage(parsed, filter, "bundles"), signal };
}

/** Cursors of lists and of bundles are not interchangeable. */
type Kind = "list" | "bundles";

function parsePage(
  { limit = 100, cursor }: { limit?: number | undefined; cursor?: string | null | undefined },
  filter: ParsedRunFilter,
  kind: Kind,
): ParsedRunQuery {
  const isBackward = cursor?.startsWith(backwardMark) === true;
  const text = isBackward ? cursor?.slice(backwardMark.length) : cursor;
  const after = text == null ? null : decodeCursor(text, fingerprint(kind, filter));
  return { ...filter, limit, after, isBackward };
}

/** The beginning of a `prevCursor`. No `nextCursor` has it, and a shell leaves it unchanged. */
const backwardMark = ".";

/** The positions of a page of a list. `continues` is true if there are more rows in the direction of the query. */
interface ListBounds {
  readonly first: StoredPosition | undefined;
  readonly last: StoredPosition | undefined;
  readonly continues: boolean;
}

/** The cursors of a page of a list. */
export function listCursors(query: ParsedRunQuery, { first, last, continues }: ListBounds) {
  const isStart = query.isBackward ? !continues : query.after === null;
  const isEnd = !query.isBackward && !continues;
  const cursorAt = (position: StoredPosition) => nextCursor("list", query, position);
  // The runs of a page may have been deleted.
  const start = first ?? query.after;
  return {
    nextCursor: last === undefined || isEnd ? null : cursorAt(last),
    prevCursor: start === null || isStart ? null : backwardMark + cursorAt(start),
  };
}

/** The order in which a query of a list reads rows. */
export function orderOf({ isBackward }: Pick<ParsedRunQuery, "isBackward">) {
  return isBackward ? ("oldest first" as const) : ("newest first" as const);
}

/** The cursor that continues after `last`. */
export function nextCursor(kind: Kind, filter: ParsedRunFilter, last: StoredPosition): string {
  return encodeCursor(last, fingerprint(kind, filter));
}

export function parseFilter(filter: RunFilter, runIds?: readonly string[]) {
  const { status, tags = {} } = filter;
  const wanted = status === undefined ? null : new Set([status].flat());
  return {
    workflowId: filter.workflowId ?? null,
    /** Distinct statuses in a fixed order; null for any. */
    statuses: wanted && runStatuses.filter((name) => wanted.has(name)),
    resourceId: filter.resourceId ?? null,
    tags: Object.keys(tags).length === 0 ? null : tags,
    createdAfter: filter.createdAfter ?? null,
    createdBefore: filter.createdBefore ?? null,
    /** Only these runs; null for any. */
    runIds: runIds === undefined ? null : ([...new Set(runIds)] as readonly string[]),
  };
}

/** The query that all runs match. */
export const everyRun: ParsedRunQuery = {
  ...parseFilter({}),
  limit: 1000,
  after: null,
  isBackward: false,
};

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

/** True if the run matches the filter, apart from `runIds`. */
export function matchesFilter(
  run: RunPosition & Pick<WorkflowRun, "workflowId" | "status" | "resourceId" | "tags">,
  filter: ParsedRunFilter,
): boolean {
  const { tags, createdAfter, createdBefore } = filter;
  const createdAt = Number(run.createdAt);
  return (
    (filter.workflowId === null || run.workflowId === filter.workflowId) &&
    (filter.statuses === null || filter.statuses.includes(run.status)) &&
    (filter.resourceId === null || run.resourceId === filter.resourceId) &&
    (createdAfter === null || createdAt >= createdAfter.getTime()) &&
    (createdBefore === null || createdAt < createdBefore.getTime()) &&
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
