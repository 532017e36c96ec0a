import {
  ConstraintError,
  RunAlreadyExistsError,
  RunNotFoundError,
  StepExecutionAlreadyExistsError,
  StepExecutionNotFoundError,
} from "../../../errors.ts";
import type { RunBundle } from "../../../model/bundles.ts";
import { planReopen, type RowUpdate } from "../../../model/changes.ts";
import type { BatchDemands } from "../../../model/options.ts";
import { everyRun } from "../../../model/run-queries.ts";
import {
  checkFence,
  checkReopen,
  checkRevision,
  checkRunUpdate,
  checkStateRevision,
  checkStepUpdate,
  type Fence,
} from "../../../model/transitions.ts";
import { runSummaryProperties } from "../../../schema/row-codecs.ts";
import type { StepExecution, WorkflowRun, WorkflowRunSummary } from "../../../schema/rows.ts";
import type { WritePlanner } from "../../checked-writes.ts";
import {
  readAfterWrite,
  runQueries,
  sentTwiceError,
  textOf,
  type Connection,
  type Reader,
} from "../connections/connection.ts";
import { rehearse } from "../../rehearsal.ts";
import { isGuardFailure } from "../errors/symptoms.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { runGuardProperties, type RunProperty } from "../statements/runs.ts";
import type { BoundStatement } from "../statements/statement.ts";
import type { StepProperty } from "../statements/steps.ts";
import { readPage } from "./bundles.ts";
import {
  firstRow,
  leftOut,
  readRows,
  type PlannedWrite,
  type PlannedWrites,
  type StoreContext,
} from "./context.ts";
import { readInputs } from "./steps.ts";

/** The columns of an update. */
export function shapeOf<Property extends string>({
  set,
  setOnce = {},
}: Partial<Pick<RowUpdate<object>, "set" | "setOnce">>) {
  return {
    set: Object.keys(set ?? {}) as Property[],
    setOnce: Object.keys(setOnce) as Property[],
  };
}

export function createWrites(context: StoreContext): WritePlanner<PlannedWrites> {
  const { codecs, statements } = context;
  const readGuard = (cells: readonly unknown[]) =>
    codecs.run.decodeCells(runGuardProperties, cells);

  /** An update of one run. `check` throws the reason why it changed nothing. */
  function updateOf(
    runId: string,
    write: BoundStatement,
    check: (run: Pick<WorkflowRun, (typeof runGuardProperties)[number]>) => void,
  ): PlannedWrite<WorkflowRunSummary> {
    return {
      write,
      inquire: () => [statements.runs.getSummary.bind({ runId })],
      conclude(changes, [found]) {
        const row = firstRow(found);
        if (row === null) throw new RunNotFoundError({ runId });
        if (changes > 0) return codecs.run.decodeCells(runSummaryProperties, row);
        check(readGuard(runGuardProperties.map((name) => row[runSummaryProperties.indexOf(name)])));
        throw leftOut(codecs.run);
      },
    };
  }

  /** A save under a run. It changes nothing if the run is missing or the fence does not hold. */
  function saveOf(
    codec: { readonly table: string },
    runId: string,
    fence: Fence | null,
    write: BoundStatement,
  ): PlannedWrite<undefined> {
    return {
      write,
      inquire: () => [statements.runs.getGuard.bind({ runId })],
      conclude(changes, [found]) {
        if (changes > 0) return undefined;
        const row = firstRow(found);
        if (row === null) throw new RunNotFoundError({ runId });
        checkFence(readGuard(row), fence);
        throw leftOut(codec);
      },
    };
  }

  return {
    createRun(run, isGenerated, holder) {
      const encoded = codecs.run.encode(run);
      const { properties } = codecs.run;
      const { runId, workflowId, idempotencyKey } = encoded;
      const hasKey = idempotencyKey !== null;
      return {
        ...(holder !== null && {
          before: [
            statements.runs.releaseKey.bind({
              runId,
              workflowId,
              idempotencyKey,
              whereRunId: holder.runId,
              whereRevision: holder.revision,
              now: holder.now.getTime(),
            }),
          ],
          // If a trigger leaves out the new run, the key is not taken.
          after: statements.guards.changedOrTaken.bind({ runId, workflowId, idempotencyKey }),
        }),
        // A second request inserts nothing. It finds the run by its key, or knows its generated id.
        repeatable: isGenerated || hasKey,
        write: statements.runs.insert.bind(encoded),
        inquire: () => [statements.runs.findTaken.bind(encoded)],
        ...(hasKey && {
          findHolders: () =>
            statements.runs.findHolders.bind({ runId, workflowId, idempotencyKey }),
          guard: () => statements.guards.changedOrIdempotent.bind({ workflowId, idempotencyKey }),
        }),
        conclude(changes, [found]) {
          if (changes > 0) return codecs.run.decode(encoded);
          const rows = found?.rows ?? [];
          const has = (row: readonly unknown[], name: RunProperty) =>
            row[properties.indexOf(name)] === encoded[name];
          const keyed = rows.find(
            (row) => hasKey && has(row, "workflowId") && has(row, "idempotencyKey"),
          );
          const isThere = rows.some((row) => has(row, "runId"));
          if (keyed !== undefined) {
            const existing = codecs.run.decodeCells(properties, keyed);
            const isTakeable =
              existing.runId === holder?.runId && existing.revision === holder.revision;
            if (isTakeable && !isThere) throw leftOut(codecs.run);
            return existing;
          }
          if (!isThere) throw leftOut(codecs.run);
          // No other caller knows a generated id, so an earlier request has created the run.
          if (isGenerated) return codecs.run.decode(encoded);
          throw new RunAlreadyExistsError({ runId });
        },
      };
    },

    updateRun(runId, update, { expectedRevision, fence }) {
      const write = statements.runs.update(shapeOf<RunProperty>(update)).bind({
        ...codecs.run.encode(update.set),
        ...codecs.run.encode(update.setOnce),
        whereRunId: runId,
        whereRevision: expectedRevision ?? null,
        ...fenceArguments(fence),
      });
      return updateOf(runId, write, (run) =>
        checkRunUpdate(run, update.set.status, { expectedRevision, fence }),
      );
    },

    reopenRun(runId, now, expectedRevision) {
      const set = planReopen(now);
      const whereRevision = expectedRevision ?? null;
      const cancelled = { runId, whereRevision, now: now.getTime() };
      const { attempts, steps } = statements.restarts.cancelReopened;
      const write = statements.runs.reopen(shapeOf<RunProperty>({ set })).bind({
        ...codecs.run.encode(set),
        whereRunId: runId,
        whereRevision,
      });
      return {
        before: [attempts.bind(cancelled), steps.bind(cancelled)],
        ...updateOf(runId, write, (run) => checkReopen(run, expectedRevision)),
      };
    },

    deleteRun: (runId, expectedRevision) => ({
      write: statements.runs.delete.bind({ runId, whereRevision: expectedRevision ?? null }),
      inquire: () => [statements.runs.getGuard.bind({ runId })],
      guard: () => statements.guards.runGone.bind({ runId }),
      conclude(changes, [found]) {
        const row = firstRow(found);
        if (changes > 0 || row === null) return changes > 0;
        if (expectedRevision !== undefined) checkRevision(readGuard(row), expectedRevision);
        throw leftOut(codecs.run);
      },
    }),

    createStepExecution(step) {
      const { runId, stepId } = step;
      const encoded = codecs.steps.encode(step);
      return {
        write: statements.steps.insert.bind(encoded),
        inquire: () => [statements.steps.findTaken.bind({ runId, stepId })],
        conclude(changes, [found]) {
          if (changes > 0) return codecs.steps.decode(encoded);
          const row = firstRow(found);
          if (row === null) throw new RunNotFoundError({ runId });
          if (row[1] === null) throw leftOut(codecs.steps);
          throw new StepExecutionAlreadyExistsError({ runId, stepId });
        },
        complete: (created) => withInput(context, created),
      };
    },

    updateStepExecution({ runId, stepId }, update, { fence }) {
      const shape = {
        ...shapeOf<StepProperty>(update),
        computeDuration: update.computeDuration,
      };
      return {
        write: statements.steps.update(shape).bind({
          ...codecs.steps.encode(update.set),
          ...codecs.steps.encode(update.setOnce),
          whereRunId: runId,
          whereStepId: stepId,
          ...fenceArguments(fence),
        }),
        inquire: () => [
          ...(fence === null ? [] : [statements.runs.getGuard.bind({ runId })]),
          statements.steps.get.bind({ runId, stepId }),
        ],
        conclude(changes, inquiry) {
          const row = firstRow(inquiry.at(-1));
          if (row === null) throw new StepExecutionNotFoundError({ runId, stepId });
          const step = codecs.steps.decodeCells(codecs.steps.properties, row);
          if (changes > 0) return step;
          const run = fence === null ? null : firstRow(inquiry[0]);
          if (run !== null) checkFence(readGuard(run), fence);
          checkStepUpdate(step, update.set.status);
          throw leftOut(codecs.steps);
        },
        complete: (step) => withInput(context, step),
      };
    },

    saveStepAttempt(attempt, { fence }) {
      const encoded = codecs.attempts.encode(attempt);
      const write = statements.attempts.save.bind({ ...encoded, ...fenceArguments(fence) });
      return saveOf(codecs.attempts, attempt.runId, fence, write);
    },

    saveStepOutput(output, { fence }) {
      const encoded = codecs.outputs.encode(output);
      const write = statements.outputs.save.bind({ ...encoded, ...fenceArguments(fence) });
      return saveOf(codecs.outputs, output.runId, fence, write);
    },

    saveState(entry, { expectedRevision, fence }) {
      const { runId, key } = entry;
      const demand =
        expectedRevision === undefined ? "any" : expectedRevision === 0 ? "absent" : "revision";
      return {
        write: statements.state.save(demand).bind({
          ...codecs.state.encode(entry),
          ...fenceArguments(fence),
          whereRevision: expectedRevision ?? null,
        }),
        inquire: () => [statements.state.getGuard.bind({ runId, key })],
        conclude(changes, [found]) {
          const row = firstRow(found);
          if (row === null) throw new RunNotFoundError({ runId });
          const revision = Number(row[0] ?? 0);
          if (changes > 0) return { revision };
          if (fence !== null) checkFence(readGuard(row.slice(1)), fence);
          checkStateRevision({ runId, key }, revision, expectedRevision);
          throw leftOut(codecs.state);
        },
      };
    },

    deleteState(key, { fence }) {
      const { runId } = key;
      const fenced = { ...key, ...fenceArguments(fence) };
      return {
        before: [statements.state.noteDeletion.bind(fenced)],
        write: statements.state.delete.bind(fenced),
        after: statements.guards.stateKept.bind(fenced),
        inquire: () => [statements.state.getGuard.bind({ ...key })],
        guard: () => statements.guards.stateGone.bind(fenced),
        conclude(changes, [found]) {
          if (changes > 0) return;
          const row = firstRow(found);
          if (row === null && fence !== null) throw new RunNotFoundError({ runId });
          if (row === null) return;
          if (fence !== null) checkFence(readGuard(row.slice(1)), fence);
          if (row[0] !== null) throw leftOut(codecs.state);
        },
      };
    },

    pauseWorkflow(pause) {
      const { workflowId } = pause;
      return {
        write: statements.pauses.insert.bind(codecs.pauses.encode(pause)),
        inquire: () => [statements.pauses.find.bind({ workflowId })],
        conclude(changes, [found]) {
          if (changes === 0 && firstRow(found) === null) throw leftOut(codecs.pauses);
          return changes > 0;
        },
      };
    },

    resumeWorkflow: (workflowId) => ({
      write: statements.pauses.delete.bind({ workflowId }),
      inquire: () => [statements.pauses.find.bind({ workflowId })],
      conclude(changes, [found]) {
        if (changes === 0 && firstRow(found) !== null) throw leftOut(codecs.pauses);
        return changes > 0;
      },
    }),
  };
}

async function withInput(context: StoreContext, step: StepExecution): Promise<StepExecution> {
  const [complete = step] = await runQueries(context.connection, readInputs(context, [step]));
  return complete;
}

/** Executes one write alone. */
export async function carryOut<T>(
  connection: Connection,
  plan: PlannedWrite<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { before, write, after, repeatable } = plan;
  let requests = 1;
  const writes = [...(before ?? []), write, ...(after === undefined ? [] : [after])];
  const writing = connection.write([...writes, ...plan.inquire()], {
    repeatable,
    signal,
    onSentAgain: () => (requests += 1),
  });
  const results = await (after === undefined ? writing : writing.catch(nullForGuard));
  const changes = results?.[before?.length ?? 0]?.changes ?? 0;
  const inquiry = results?.slice(writes.length) ?? (await connection.read(plan.inquire()));
  let result: T;
  try {
    result = plan.conclude(changes, inquiry);
  } catch (error) {
    throw requests === 1 || repeatable ? error : sentTwiceError(error);
  }
  return plan.complete === undefined ? result : readAfterWrite(connection, plan.complete(result));
}

function nullForGuard(error: unknown): null {
  if (isGuardFailure(error)) return null;
  throw error;
}

/** Executes the writes of a batch, all or none. */
export async function carryOutBatch(
  context: StoreContext,
  plans: readonly PlannedWrite<unknown>[],
  demands: BatchDemands,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { connection, statements } = context;
  const { fence, expectedRevisions = [] } = demands;
  if (plans.length === 0 && runIdsOf(demands).size === 0) return;
  if (connection.writeGuarded !== undefined) {
    const changed = statements.guards.changed.bind({});
    const { fenced, atRevision } = statements.guards;
    const guard = expectedRevisions.map(({ runId, revision }) =>
      atRevision.bind({ runId, whereRevision: revision }),
    );
    if (fence !== undefined) {
      guard.unshift(fenced.bind({ runId: fence.runId, ...fenceArguments(fence) }));
    }
    const guarded = plans.flatMap((plan) => [
      ...(plan.before ?? []),
      plan.write,
      plan.guard?.() ?? changed,
    ]);
    const send = connection.writeGuarded.bind(connection, [...guard, ...guarded], { signal });
    for (let attempts = 1; ; attempts++) {
      try {
        await send();
        return;
      } catch (error) {
        if (!isGuardFailure(error)) throw error;
        if (connection.hasTransactions !== false) break;
        await findCause(context, plans, demands);
        // Without a cause, another writer has changed it meanwhile, or a trigger of the app left out a write.
        if (attempts === maxGuardedAttempts) throw new ConstraintError({ kind: "trigger" });
      }
    }
  }
  await writeOneByOne(context, plans, demands, signal);
}

/** The runs that have a precondition, that of the fence first. */
function runIdsOf({ fence, expectedRevisions = [] }: BatchDemands): Set<string> {
  const runIds = expectedRevisions.map(({ runId }) => runId);
  return new Set(fence === undefined ? runIds : [fence.runId, ...runIds]);
}

/** How often a batch without interactive transactions is sent if no cause is found. */
const maxGuardedAttempts = 3;

/** @throws the error of the write that made the batch fail, if the database has not changed since. */
async function findCause(
  context: StoreContext,
  plans: readonly PlannedWrite<unknown>[],
  demands: BatchDemands,
): Promise<void> {
  const { connection } = context;
  if (plans.some(({ rehearse: repeat }) => repeat === undefined)) {
    for (const plan of plans) plan.conclude(0, await connection.read(plan.inquire()));
    return;
  }
  const runIds = runIdsOf(demands);
  for (const { write } of plans) if (write.runId !== null) runIds.add(write.runId);
  for (const { findHolders } of plans) {
    if (findHolders === undefined) continue;
    for (const [runId] of await readRows(connection, findHolders())) runIds.add(textOf(runId));
  }
  const bundles: RunBundle[] = [];
  for (const runId of runIds) {
    const page = await readPage(context, { ...everyRun, runIds: [runId], limit: 1 });
    for (const error of page.corrupt) throw error;
    bundles.push(...page.bundles);
  }
  rehearse(bundles, demands, plans);
}

/** Executes the writes one by one in a transaction. The first one that fails explains the failure of the batch. */
function writeOneByOne(
  { connection, codecs, statements }: StoreContext,
  plans: readonly PlannedWrite<unknown>[],
  demands: BatchDemands,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { fence, expectedRevisions = [] } = demands;
  const requireRun = async (tx: Reader, runId: string) => {
    const [row] = await readRows(tx, statements.runs.getGuard.bind({ runId }));
    if (row === undefined) throw new RunNotFoundError({ runId });
    return codecs.run.decodeCells(runGuardProperties, row);
  };
  return connection.transaction(
    async (tx) => {
      if (fence !== undefined) checkFence(await requireRun(tx, fence.runId), fence);
      for (const { runId, revision } of expectedRevisions) {
        checkRevision(await requireRun(tx, runId), revision);
      }
      for (const plan of plans) {
        if (plan.before !== undefined) await tx.write(plan.before);
        const [written] = await tx.write([plan.write]);
        // A batch needs no results, and in an app's transaction each query is a round trip.
        if ((written?.changes ?? 0) > 0) continue;
        plan.conclude(0, await tx.read(plan.inquire()));
      }
      signal?.throwIfAborted();
    },
    { signal },
  );
}
