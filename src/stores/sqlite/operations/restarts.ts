import { RunNotFoundError, StepExecutionNotFoundError } from "../../../errors.ts";
import { planRestart } from "../../../model/changes.ts";
import { completeNewStep } from "../../../model/new-rows.ts";
import { checkRestart } from "../../../model/transitions.ts";
import { runSummaryProperties } from "../../../schema/row-codecs.ts";
import type { WorkflowRunSummary } from "../../../schema/rows.ts";
import type { Restart } from "../../operations.ts";
import { readAfterWrite } from "../connections/connection.ts";
import { runGuardProperties } from "../statements/runs.ts";
import { firstRow, leftOut, readRows, type PlannedWrite, type StoreContext } from "./context.ts";
import { carryOutBatch } from "./writes.ts";

/** Reopens a run with a step as if it were new, and without those after it. */
export async function restartRun(
  context: StoreContext,
  restart: Restart,
  signal: AbortSignal | undefined,
): Promise<WorkflowRunSummary> {
  const { connection, codecs, statements } = context;
  const { runId } = restart;
  await carryOutBatch(context, planRestartOf(context, restart), {}, signal);
  const read = readRows(connection, statements.runs.getSummary.bind({ runId }));
  const [row] = await readAfterWrite(connection, read);
  if (row === undefined) throw new RunNotFoundError({ runId });
  return codecs.run.decodeCells(runSummaryProperties, row);
}

function planRestartOf(
  { codecs, statements }: StoreContext,
  { runId, fromStep, expectedRevision, now }: Restart,
): PlannedWrite<unknown>[] {
  const { restarts, runs, steps } = statements;
  const key = { runId, stepId: fromStep };
  const whereRevision = expectedRevision ?? null;
  const cancelled = { runId, whereRevision, now: now.getTime() };
  const refuse = (): never => {
    throw leftOut(codecs.steps);
  };
  return [
    {
      before: [
        restarts.cancelRestarted.attempts.bind(cancelled),
        restarts.cancelRestarted.steps.bind(cancelled),
      ],
      write: restarts.reopen.bind({
        ...codecs.run.encode(planRestart(now)),
        ...key,
        whereRevision,
      }),
      inquire: () => [runs.getGuard.bind({ runId }), steps.get.bind(key)],
      conclude(_, [found, step]) {
        const row = firstRow(found);
        if (row === null) throw new RunNotFoundError({ runId });
        checkRestart(codecs.run.decodeCells(runGuardProperties, row), expectedRevision);
        if (firstRow(step) === null) throw new StepExecutionNotFoundError(key);
        throw leftOut(codecs.run);
      },
    },
    {
      before: [restarts.deleteAttempts.bind(key), restarts.deleteOutputs.bind(key)],
      write: restarts.deleteLaterSteps.bind(key),
      guard: () => restarts.laterGone.bind(key),
      inquire: () => [],
      conclude: () => {},
    },
    {
      write: restarts.resetStep.bind(codecs.steps.encode(completeNewStep(key, now))),
      inquire: () => [],
      conclude: refuse,
    },
  ];
}
