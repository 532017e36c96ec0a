import { CorruptRowError, RunAlreadyExistsError, RunNotFoundError } from "../../../errors.ts";
import { parseId } from "../../../model/arguments.ts";
import { planReopen, planRunUpdate, type RunChanges } from "../../../model/changes.ts";
import { completeNewRun } from "../../../model/new-rows.ts";
import { parseOptions, parseReadOptions, parseRevisionOptions } from "../../../model/options.ts";
import {
  nextListCursor,
  parseListQuery,
  parseCountFilter,
  type ParsedRunQuery,
} from "../../../model/run-queries.ts";
import { checkReopen, checkRunUpdate, isRunStatus } from "../../../model/transitions.ts";
import type { NewWorkflowRun, WorkflowRun, WorkflowRunSummary } from "../../../schema/rows.ts";
import type { RunStatus } from "../../../statuses.ts";
import type { ReadOptions } from "../../../store/options.ts";
import type { RunPage, RunStore } from "../../../store/runs.ts";
import { fenceArguments, inlineDetailBytes, rowsInPlace } from "../statements/fragments.ts";
import {
  filterArguments,
  filterShape,
  positionArguments,
  positionOf,
} from "../statements/run-filters.ts";
import { runGuardProperties, summaryProperties, type RunProperty } from "../statements/runs.ts";
import {
  carryOut,
  firstRow,
  leftOut,
  readRows,
  type PlannedWrite,
  type StoreContext,
} from "./context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createRunPlans({ codecs, statements, clock }: StoreContext) {
  const summary = summaryProperties(codecs);

  return {
    createRun(newRun: Readonly<NewWorkflowRun>): PlannedWrite<WorkflowRun> {
      const encoded = codecs.run.encode(completeNewRun(newRun, clock()));
      const { workflowId, idempotencyKey } = encoded;
      const hasKey = idempotencyKey !== null;
      const isGenerated = newRun.runId === undefined;
      return {
        // A second sending inserts nothing, and finds the run by its key or knows its new id.
        repeatable: isGenerated || hasKey,
        write: statements.runs.insert.bind(encoded),
        inquire: () => [statements.runs.findTaken({ hasKey }).bind(encoded)],
        guard: () =>
          hasKey
            ? statements.guards.changedOrIdempotent.bind({ workflowId, idempotencyKey })
            : statements.guards.changed.bind({}),
        conclude(changes, [found]) {
          if (changes > 0) return codecs.run.decode(encoded);
          const { properties } = codecs.run;
          const rows = found?.rows ?? [];
          const isAt = (name: RunProperty) => (row: readonly unknown[]) =>
            row[properties.indexOf(name)] === encoded[name];
          const keyed = hasKey
            ? rows.filter(isAt("workflowId")).find(isAt("idempotencyKey"))
            : undefined;
          if (keyed !== undefined) return codecs.run.decodeCells(properties, keyed);
          if (!rows.some(isAt("runId"))) throw leftOut(codecs.run);
          // Nobody else can have made a run under an id that was generated here: it was sent before.
          if (isGenerated) return codecs.run.decode(encoded);
          throw new RunAlreadyExistsError({ runId: String(encoded.runId) });
        },
      };
    },

    updateRun(
      id: string,
      changes: RunChanges,
      options?: unknown,
    ): PlannedWrite<WorkflowRunSummary> {
      const runId = parseId(id, "runId");
      const { expectedRevision, fence } = parseRevisionOptions(options);
      const { set, setOnce } = planRunUpdate(changes, clock());
      const shape = {
        set: Object.keys(set) as RunProperty[],
        setOnce: Object.keys(setOnce) as RunProperty[],
        fenced: fence !== null,
        revised: expectedRevision !== undefined,
      };
      return changeOf(
        runId,
        statements.runs.update(shape).bind({
          ...codecs.run.encode(set),
          ...codecs.run.encode(setOnce),
          whereRunId: runId,
          whereRevision: expectedRevision ?? null,
          ...fenceArguments(fence),
        }),
        (run) => checkRunUpdate(run, set.status, { expectedRevision, fence }),
      );
    },

    reopenRun(id: string): PlannedWrite<WorkflowRunSummary> {
      const runId = parseId(id, "runId");
      const set = planReopen(clock());
      const shape = {
        set: Object.keys(set) as RunProperty[],
        setOnce: [],
        fenced: false,
        revised: false,
      };
      return changeOf(
        runId,
        statements.runs.reopen(shape).bind({
          ...codecs.run.encode(set),
          whereRunId: runId,
        }),
        checkReopen,
      );
    },

    deleteRun(id: string): PlannedWrite<boolean> {
      const runId = parseId(id, "runId");
      return {
        write: statements.runs.delete.bind({ runId }),
        inquire: () => [statements.runs.getGuard.bind({ runId })],
        guard: () => statements.guards.runGone.bind({ runId }),
        conclude(changes, [found]) {
          if (changes > 0) return true;
          if (firstRow(found) !== null) throw leftOut(codecs.run);
          return false;
        },
      };
    },
  };

  /** A conditional update of one run. `check` throws the reason why it changed nothing. */
  function changeOf(
    runId: string,
    write: PlannedWrite<unknown>["write"],
    check: (run: Pick<WorkflowRun, (typeof runGuardProperties)[number]>) => void,
  ): PlannedWrite<WorkflowRunSummary> {
    return {
      write,
      inquire: () => [statements.runs.getSummary.bind({ runId })],
      guard: () => statements.guards.changed.bind({}),
      conclude(changes, [found]) {
        const row = firstRow(found);
        if (row === null) throw new RunNotFoundError({ runId });
        if (changes > 0) return codecs.run.decodeCells(summary, row);
        const guarded = runGuardProperties.map((name) => row[summary.indexOf(name)]);
        check(codecs.run.decodeCells(runGuardProperties, guarded));
        throw leftOut(codecs.run);
      },
    };
  }
}

/** The query that any run fits. */
const everyRun = parseListQuery({ limit: 1000 });

function listShape(query: ParsedRunQuery) {
  return {
    ...filterShape(query),
    order: "newest first",
    continued: query.after !== null,
  } as const;
}

function listArguments(query: ParsedRunQuery) {
  return {
    ...filterArguments(query),
    ...positionArguments(query.after),
    limit: query.limit + 1,
  };
}

/** True for a row of `summaryProperties` that has its details with it. */
function isWhole(row: readonly unknown[]): boolean {
  return Number(row.at(-1)) <= inlineDetailBytes;
}

/**
 * Rows of `summaryProperties` with their details. Those whose details were too large to come along are read again,
 * as many in one answer as fit a page; runs that were deleted meanwhile are left out.
 */
export async function withDetails(
  { connection, codecs, statements }: StoreContext,
  rows: readonly (readonly unknown[])[],
): Promise<readonly (readonly unknown[])[]> {
  const properties = summaryProperties(codecs);
  const place = properties.indexOf("runId");
  const whole = rows.filter(isWhole);
  const open = new Set(rows.filter((row) => !isWhole(row)).map((row) => String(row[place])));
  while (open.size > 0) {
    const named = { ...everyRun, runIds: [...open] };
    const statement = statements.lists.list({ ...listShape(named), properties });
    const { rows: read, found } = rowsInPlace(
      await readRows(connection, statement.bind(listArguments(named))),
    );
    for (const row of read) {
      whole.push(row);
      open.delete(String(row[place]));
    }
    if (read.length === found) break;
  }
  return whole;
}

export function createRunOperations(context: StoreContext): RunStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createRunPlans(context);
  const summary = summaryProperties(codecs);

  function readRun(id: string, options: ReadOptions | undefined, missing: () => null) {
    const runId = parseId(id, "runId");
    const { signal, payloads } = parseReadOptions(options);
    const statement = payloads === false ? statements.runs.getSummary : statements.runs.get;
    const properties = payloads === false ? summary : codecs.run.properties;
    return perform(signal, async () => {
      const [found] = await connection.read([statement.bind({ runId })]);
      const row = firstRow(found);
      return row === null ? missing() : codecs.run.decodeCells(properties, row);
    });
  }

  /** As many rows as the page takes, with one more row read to see whether the list goes on. */
  async function listRuns(query: unknown = {}): Promise<RunPage<WorkflowRun | WorkflowRunSummary>> {
    const parsed = parseListQuery(query);
    return perform(parsed.signal, () =>
      parsed.payloads ? readPage(parsed, codecs.run.properties) : readSummaries(parsed),
    );
  }

  /** One query, which sends no more than the page's bytes. */
  async function readPage<Property extends RunProperty>(
    query: ParsedRunQuery,
    properties: readonly Property[],
  ): Promise<RunPage<Pick<WorkflowRun, Property>>> {
    const statement = statements.lists.list({ ...listShape(query), properties });
    const { rows, found } = rowsInPlace(
      await readRows(connection, statement.bind(listArguments(query))),
    );
    return decodePage(query, properties, rows.slice(0, query.limit), found);
  }

  /** One query where all details are small, as they nearly always are; otherwise the page is read again with them. */
  async function readSummaries(query: ParsedRunQuery): Promise<RunPage<WorkflowRunSummary>> {
    const statement = statements.lists.summaries(listShape(query));
    const rows = await readRows(connection, statement.bind(listArguments(query)));
    if (!rows.every(isWhole)) return readPage(query, summary);
    return decodePage(query, summary, rows.slice(0, query.limit), rows.length);
  }

  function decodePage<Property extends RunProperty>(
    query: ParsedRunQuery,
    properties: readonly Property[],
    page: readonly (readonly unknown[])[],
    rowsRead: number,
  ): RunPage<Pick<WorkflowRun, Property>> {
    const runs: Pick<WorkflowRun, Property>[] = [];
    const corrupt: CorruptRowError[] = [];
    for (const row of page) {
      try {
        runs.push(codecs.run.decodeCells(properties, row));
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        corrupt.push(error);
      }
    }
    const last = page.at(-1);
    return {
      runs,
      corrupt,
      nextCursor:
        last !== undefined && page.length < rowsRead
          ? nextListCursor(query, positionOf(properties, last))
          : null,
    };
  }

  return {
    async createRun(newRun, options) {
      const { signal } = parseOptions(options);
      const plan = plans.createRun(newRun);
      return perform(signal, () => carryOut(connection, plan, signal));
    },

    getRun: (async (id: string, options?: ReadOptions) =>
      readRun(id, options, () => {
        throw new RunNotFoundError({ runId: id });
      })) as RunStore["getRun"],

    findRun: async (id: string, options?: ReadOptions) => readRun(id, options, () => null),

    async updateRun(runId, changes, options) {
      const plan = plans.updateRun(runId, changes, options);
      return perform(options?.signal, () => carryOut(connection, plan, options?.signal));
    },

    async reopenRun(runId, options) {
      const { signal } = parseOptions(options);
      const plan = plans.reopenRun(runId);
      return perform(signal, () => carryOut(connection, plan, signal));
    },

    listRuns: listRuns as RunStore["listRuns"],

    async countRuns(filter = {}) {
      const parsed = parseCountFilter(filter);
      return perform(filter.signal, async () => {
        const rows = await readRows(
          connection,
          statements.lists.count(filterShape(parsed)).bind(filterArguments(parsed)),
        );
        const counts: Record<RunStatus, number> = {
          PENDING: 0,
          RUNNING: 0,
          COMPLETED: 0,
          FAILED: 0,
          CANCELLED: 0,
        };
        for (const [status, count] of rows) {
          if (isRunStatus(status)) counts[status] = Number(count);
        }
        return counts;
      });
    },

    async deleteRun(runId, options) {
      const { signal } = parseOptions(options);
      const plan = plans.deleteRun(runId);
      return perform(signal, () => carryOut(connection, plan, signal));
    },
  };
}
