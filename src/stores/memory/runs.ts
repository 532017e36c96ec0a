import { RunAlreadyExistsError, RunNotFoundError } from "../../errors.ts";
import { utf8ByteLength } from "../../json.ts";
import { parseId } from "../../model/arguments.ts";
import {
  keptLostLeases,
  planReopen,
  planRunUpdate,
  reopenedDeadline,
  type RunChanges,
} from "../../model/changes.ts";
import { completeNewRun } from "../../model/new-rows.ts";
import { parseOptions, parseReadOptions, parseRevisionOptions } from "../../model/options.ts";
import {
  countWithinPage,
  matchesFilter,
  nextListCursor,
  parseCountFilter,
  parseListQuery,
  type ParsedRunFilter,
  type ParsedRunQuery,
} from "../../model/run-queries.ts";
import { checkFence, checkReopen, checkRunUpdate, type Fence } from "../../model/transitions.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import {
  jsonRunColumns,
  payloadColumns,
  type NewWorkflowRun,
  type WorkflowRun,
  type WorkflowRunSummary,
} from "../../schema/rows.ts";
import type { RunStatus } from "../../statuses.ts";
import type { ReadOptions } from "../../store/options.ts";
import type { RunPage, RunStore } from "../../store/runs.ts";
import { comparePlaces, type Position } from "./sorted-index.ts";
import {
  withResult,
  type PlannedChange,
  type PlannedWrite,
  type StoreContext,
} from "./store-context.ts";
import { positionOf, textOf, type RunRow, type ScanOrder, type Tables } from "./tables.ts";

const codec = rowCodecs.run;
const isPayload: ReadonlySet<string> = new Set(payloadColumns);
const summaryProperties = codec.properties.filter(
  (name): name is keyof WorkflowRunSummary => !isPayload.has(name),
);

/** What a change is checked against. */
const guardProperties = [
  "runId",
  "status",
  "revision",
  "workerId",
  "attempt",
  "leaseExpiresAt",
  "progress",
  "lostLeases",
] as const;

export function readGuard(run: RunRow) {
  return codec.decodeCells(
    guardProperties,
    guardProperties.map((name) => run[name]),
  );
}

export function readSummary(run: RunRow): WorkflowRunSummary {
  return codec.decodeCells(
    summaryProperties,
    summaryProperties.map((name) => run[name]),
  );
}

/** @throws {RunNotFoundError} */
export function requireRun(tables: Tables, runId: string): RunRow {
  const run = tables.getRun(runId);
  if (run === undefined) throw new RunNotFoundError({ runId });
  return run;
}

/** The run, which is held by that claim. @throws {RunNotFoundError} {LeaseLostError} */
export function requireHeldRun(tables: Tables, runId: string, fence: Fence | null): RunRow {
  const run = requireRun(tables, runId);
  if (fence !== null) checkFence(readGuard(run), fence);
  return run;
}

/** Replaces some columns of a run and bumps its revision; returns the new row. */
export function changeRun(tables: Tables, run: RunRow, changes: Partial<RunRow>): RunRow {
  const changed = { ...run, ...changes, revision: Number(run.revision) + 1 };
  tables.putRun(changed);
  return changed;
}

/** The columns of `setOnce` that the row does not have yet. */
export function unset<Row extends object>(row: Row, setOnce: Partial<Row>): Partial<Row> {
  const missing: Partial<Row> = {};
  for (const name in setOnce) {
    if (row[name] === null) missing[name] = setOnce[name];
  }
  return missing;
}

/** The writes of this capability, for the operations and for batches. */
export function createRunPlans({ clock }: Pick<StoreContext, "clock">) {
  return {
    createRun(newRun: Readonly<NewWorkflowRun>): PlannedChange<WorkflowRun> {
      const row = codec.encode(completeNewRun(newRun, clock()));
      const runId = textOf(row.runId);
      return (tables) => {
        const existing =
          row.idempotencyKey === null
            ? undefined
            : tables.findByIdempotencyKey(textOf(row.workflowId), textOf(row.idempotencyKey));
        if (existing !== undefined) return () => codec.decode(existing);
        if (tables.getRun(runId) !== undefined) throw new RunAlreadyExistsError({ runId });
        tables.putRun(row);
        return () => codec.decode(row);
      };
    },

    updateRun(
      id: string,
      changes: RunChanges,
      options?: unknown,
    ): PlannedChange<WorkflowRunSummary> {
      const runId = parseId(id, "runId");
      const demands = parseRevisionOptions(options);
      const { set, setOnce } = planRunUpdate(changes, clock());
      const encoded = codec.encode(set);
      const encodedOnce = codec.encode(setOnce);
      return (tables) => {
        const run = requireRun(tables, runId);
        const guard = readGuard(run);
        checkRunUpdate(guard, set.status, demands);
        const lostLeases = keptLostLeases(guard, set.progress);
        const once = unset(run, encodedOnce);
        const changed = changeRun(tables, run, { lostLeases, ...encoded, ...once });
        return () => readSummary(changed);
      };
    },

    reopenRun(id: string): PlannedWrite<WorkflowRunSummary> {
      const runId = parseId(id, "runId");
      const now = clock();
      const encoded = codec.encode(planReopen(now));
      return (tables) => {
        const run = requireRun(tables, runId);
        checkReopen(readGuard(run));
        const { timeoutMs } = codec.decodeCells(["timeoutMs"], [run.timeoutMs]);
        const deadline = codec.encode({ deadlineAt: reopenedDeadline(timeoutMs, now) });
        return readSummary(changeRun(tables, run, { ...encoded, ...deadline }));
      };
    },

    deleteRun(id: string): PlannedWrite<boolean> {
      const runId = parseId(id, "runId");
      return (tables) => {
        const exists = tables.getRun(runId) !== undefined;
        tables.deleteRun(runId);
        return exists;
      };
    },
  };
}

/** The rows of a page, cut to its limit in rows; `more` tells whether others follow. */
export function scanPage(
  tables: Tables,
  query: ParsedRunQuery,
  order: ScanOrder,
): { rows: RunRow[]; more: boolean } {
  const rows: RunRow[] = [];
  const after = query.after && {
    createdAt: Number(query.after.createdAt),
    runId: String(query.after.runId),
  };
  const candidates =
    query.runIds === null
      ? tables.scanRuns(order, after)
      : namedRuns(tables, query.runIds, order, after);
  for (const run of candidates) {
    if (!matches(run, query)) {
      if (isBeyond(run, query, order)) break;
      continue;
    }
    if (rows.length === query.limit) return { rows, more: true };
    rows.push(run);
  }
  return { rows, more: false };
}

/** The named runs that are there, in the order of a scan: they are few, and the scan may be long. */
function namedRuns(
  tables: Tables,
  runIds: readonly string[],
  order: ScanOrder,
  after: Position | null,
): RunRow[] {
  const direction = order === "newest first" ? -1 : 1;
  return runIds
    .flatMap((runId) => tables.getRun(runId) ?? [])
    .filter((run) => after === null || direction * comparePlaces(positionOf(run), after) > 0)
    .toSorted((a, b) => direction * comparePlaces(positionOf(a), positionOf(b)));
}

const filteredProperties = ["workflowId", "status", "resourceId", "tags", "createdAt"] as const;

function matches(run: RunRow, filter: ParsedRunFilter): boolean {
  // The cheap conditions first: the tags of a run that others exclude need not be decoded.
  if (filter.workflowId !== null && run.workflowId !== filter.workflowId) return false;
  return matchesFilter(
    codec.decodeCells(
      filteredProperties,
      filteredProperties.map((name) => run[name]),
    ),
    filter,
  );
}

/** True when no later row of the scan can be within the filter's times. */
function isBeyond(run: RunRow, filter: ParsedRunFilter, order: ScanOrder): boolean {
  const bound = order === "newest first" ? filter.createdAfter : filter.createdBefore;
  if (bound === null) return false;
  const time = bound.getTime();
  return order === "newest first" ? Number(run.createdAt) < time : Number(run.createdAt) >= time;
}

/** The bytes of JSON in the named columns. */
export function jsonBytesOf<Row extends object>(row: Row, names: readonly (keyof Row)[]): number {
  let bytes = 0;
  for (const name of names) {
    const cell = row[name];
    if (typeof cell === "string") bytes += utf8ByteLength(cell);
  }
  return bytes;
}

function readPage<Run>(
  tables: Tables,
  query: ParsedRunQuery,
  columns: readonly (keyof WorkflowRun)[],
  decode: (run: RunRow) => Run,
): RunPage<Run> {
  const { rows, more } = scanPage(tables, query, "newest first");
  const fitting = countWithinPage(rows.map((run) => jsonBytesOf(run, columns)));
  const page = rows.slice(0, fitting);
  const last = page.at(-1);
  const continues = last !== undefined && (more || fitting < rows.length);
  return {
    runs: page.map(decode),
    corrupt: [],
    nextCursor: continues ? nextListCursor(query, positionOf(last)) : null,
  };
}

export function createRunOperations(context: StoreContext): RunStore {
  const { read, write } = context;
  const plans = createRunPlans(context);

  async function listRuns(
    query: unknown = {},
  ): Promise<RunPage<WorkflowRun> | RunPage<WorkflowRunSummary>> {
    const parsed = parseListQuery(query);
    return read<RunPage<WorkflowRun> | RunPage<WorkflowRunSummary>>(parsed.signal, (tables) =>
      parsed.payloads
        ? readPage(tables, parsed, jsonRunColumns, (run) => codec.decode(run))
        : readPage(tables, parsed, ["error", "tags"], readSummary),
    );
  }

  async function findRun(
    id: string,
    options?: ReadOptions,
  ): Promise<WorkflowRun | WorkflowRunSummary | null> {
    const runId = parseId(id, "runId");
    const { signal, payloads } = parseReadOptions(options);
    return read(signal, (tables) => {
      const run = tables.getRun(runId);
      if (run === undefined) return null;
      return payloads === false ? readSummary(run) : codec.decode(run);
    });
  }

  return {
    async createRun(newRun, options) {
      const { signal } = parseOptions(options);
      return write(signal, withResult(plans.createRun(newRun)));
    },

    getRun: (async (id: string, options?: ReadOptions) => {
      const run = await findRun(id, options);
      if (run === null) throw new RunNotFoundError({ runId: id });
      return run;
    }) as RunStore["getRun"],

    findRun: findRun as RunStore["findRun"],

    async updateRun(runId, changes, options) {
      const plan = plans.updateRun(runId, changes, options);
      return write(options?.signal, withResult(plan));
    },

    async reopenRun(runId, options) {
      const { signal } = parseOptions(options);
      return write(signal, plans.reopenRun(runId));
    },

    listRuns: listRuns as RunStore["listRuns"],

    async countRuns(filter = {}) {
      const parsed = parseCountFilter(filter);
      return read(parsed.signal, (tables) => countByStatus(tables, parsed));
    },

    async deleteRun(runId, options) {
      const { signal } = parseOptions(options);
      return write(signal, plans.deleteRun(runId));
    },
  };
}

export function countByStatus(
  tables: Tables,
  filter: ParsedRunFilter | null,
): Record<RunStatus, number> {
  const counts = { PENDING: 0, RUNNING: 0, COMPLETED: 0, FAILED: 0, CANCELLED: 0 };
  for (const run of tables.scanRuns("oldest first", null)) {
    if (filter === null || matches(run, filter)) counts[run.status as RunStatus]++;
  }
  return counts;
}
