import { parseArgument } from "../arguments.ts";
import { Stopper, untilAborted, type StopSignal } from "../async/abort.ts";
import { pause } from "../async/pause.ts";
import { Backoff } from "../async/retry.ts";
import { operationOptionsSchema } from "../model/arguments.ts";
import { isFinalRunStatus, isFinalStepStatus } from "../model/transitions.ts";
import type { StepExecutionSummary, WorkflowRunSummary } from "../schema/rows.ts";
import type { RunStatus, StepStatus } from "../statuses.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { engineEventTypes, type EventEmitter } from "./observe/events.ts";
import { isBusy, retryWhileBusy } from "./store-retry.ts";
import { firstPollMs, longestPollMs, waitForRun } from "./worker/waits.ts";

/** The progress of a run or of one of its steps at the time of a read. It never contains a payload. */
export type RunProgress =
  | {
      readonly kind: "run";
      readonly runId: string;
      readonly status: RunStatus;
      /** 0 to 1. */
      readonly progress: number;
      /** The number of claims so far. */
      readonly attempt: number;
      readonly workerId: string | null;
      readonly at: Date;
    }
  | {
      readonly kind: "step";
      readonly runId: string;
      readonly stepId: string;
      readonly status: StepStatus;
      readonly attempt: number;
      readonly durationMs: number | null;
      readonly at: Date;
    };

interface WatchScope {
  readonly store: WorkflowStore;
  readonly events: EventEmitter;
  readonly closer: StopSignal;
  readonly leaseMs: number;
  /** Cancels the open steps of the run after it was cancelled. */
  readonly cancelSteps: () => Promise<void>;
}

/** Yields the transitions of a run until it has ended. `return` takes effect immediately. */
export function watchRun(
  { store, events, closer, leaseMs, cancelSteps }: WatchScope,
  runId: string,
  options: OperationOptions,
): AsyncGenerator<RunProgress, void> {
  const leaver = new Stopper();
  const seen = new Map<string, string>();

  function isChange(progress: RunProgress): boolean {
    // The run's own id in this map is empty, which no step's is.
    const id = progress.kind === "step" ? progress.stepId : "";
    const { at: _, ...state } = progress;
    const text = JSON.stringify(state);
    if (seen.get(id) === text) return false;
    seen.set(id, text);
    return true;
  }

  async function* follow(): AsyncGenerator<RunProgress, void> {
    const { signal } = parseArgument(operationOptionsSchema, options, "options");
    const signals = [closer, leaver, signal];
    const { wakeUp, end } = waitForRun(events, runId, engineEventTypes, signals);
    const backoff = new Backoff(firstPollMs, longestPollMs);
    const isRetried = (error: unknown): boolean => isBusy(error) && !leaver.aborted;
    const patiently = <T>(work: () => Promise<T>): Promise<T> =>
      untilAborted(leaver, untilAborted(signal, retryWhileBusy(work, leaseMs, closer, isRetried)));
    let revision: number | null = null;
    try {
      while (!leaver.aborted) {
        signal?.throwIfAborted();
        closer.throwIfAborted();
        const read = { payloads: false, signal } as const;
        const run = await patiently(() => store.getRun(runId, read));
        // Each transition of the run or its steps changes the revision.
        if (run.revision !== revision) {
          const list = () => patiently(() => store.listStepExecutions(runId, read));
          let steps = await list();
          const isOpen = steps.some(({ status }) => !isFinalStepStatus(status));
          if (run.status === "CANCELLED" && isOpen) {
            await patiently(cancelSteps);
            steps = await list();
          }
          revision = run.revision;
          const changes = [...steps.map(progressOfStep), progressOfRun(run)].filter(isChange);
          yield* changes;
          if (changes.length > 0) backoff.reset();
        }
        if (isFinalRunStatus(run.status)) return;
        // The shortest interval between reads, however fast the steps are.
        await pause(firstPollMs, signal);
        if (await wakeUp.wait(backoff.next())) backoff.reset();
      }
    } catch (error) {
      if (!leaver.aborted) throw error;
    } finally {
      end();
    }
  }

  const watch = follow();
  const finish = watch.return.bind(watch);
  // `return` alone would wait for the next change, which may take days.
  watch.return = (value) => {
    leaver.abort();
    return finish(value);
  };
  return watch;
}

function progressOfRun(run: WorkflowRunSummary): RunProgress {
  const { runId, status, progress, attempt, workerId, updatedAt } = run;
  return { kind: "run", runId, status, progress, attempt, workerId, at: updatedAt };
}

function progressOfStep(step: StepExecutionSummary): RunProgress {
  const { runId, stepId, status, attempt, durationMs, updatedAt } = step;
  return { kind: "step", runId, stepId, status, attempt, durationMs, at: updatedAt };
}
