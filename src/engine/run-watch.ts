import { parseArgument } from "../arguments.ts";
import { pause } from "../async/pause.ts";
import { Backoff } from "../async/retry.ts";
import { operationOptionsSchema } from "../model/arguments.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import type { StepExecutionSummary, WorkflowRunSummary } from "../schema/rows.ts";
import type { RunStatus, StepStatus } from "../statuses.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { EventEmitter } from "./observe/events.ts";
import { WakeUp } from "./worker/waits.ts";

/** The progress of a run or of one of its steps when the watch read it. It never contains a payload. */
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

export interface RunWatchOptions {
  readonly store: WorkflowStore;
  readonly events: EventEmitter;
  /** Aborts when the engine closes. */
  readonly closing: AbortSignal;
  readonly runId: string;
  readonly options: OperationOptions;
}

const firstPollMs = 20;
const longestPollMs = 1000;

/** Yields the transitions of a run until it has ended. `return` ends it at once. */
export function watchRun(options: RunWatchOptions): AsyncGenerator<RunProgress, void> {
  const leaver = new AbortController();
  const watch = follow(options, leaver.signal);
  const finish = watch.return.bind(watch);
  // A generator that waits for its next value does not notice `return`, and a run may change after days.
  watch.return = (value) => {
    leaver.abort();
    return finish(value);
  };
  return watch;
}

async function* follow(
  { store, events, closing, runId, options }: RunWatchOptions,
  left: AbortSignal,
): AsyncGenerator<RunProgress, void> {
  const { signal } = parseArgument(operationOptionsSchema, options, "options");
  const view = new RunView(store, runId);
  const backoff = new Backoff(firstPollMs, longestPollMs);
  const wakeUp = new WakeUp();
  const notify = (): void => wakeUp.notify();
  const unsubscribe = events.onRun(runId, notify);
  closing.addEventListener("abort", notify, { once: true });
  signal?.addEventListener("abort", notify, { once: true });
  left.addEventListener("abort", notify, { once: true });
  try {
    while (!left.aborted) {
      signal?.throwIfAborted();
      closing.throwIfAborted();
      const { changes, isFinal } = await view.read(signal);
      yield* changes;
      if (isFinal) return;
      if (changes.length > 0) backoff.reset();
      // Fast steps do not make us read more often.
      await pause(firstPollMs, signal);
      if (await wakeUp.wait(backoff.next())) backoff.reset();
    }
  } finally {
    unsubscribe();
    closing.removeEventListener("abort", notify);
    signal?.removeEventListener("abort", notify);
  }
}

/** Reads a run repeatedly and finds what has changed since the last time. */
class RunView {
  readonly #store: WorkflowStore;
  readonly #runId: string;
  #revision: number | null = null;
  readonly #seen = new Map<string, string>();

  constructor(store: WorkflowStore, runId: string) {
    this.#store = store;
    this.#runId = runId;
  }

  /**
   * The changes, steps first, and whether the run has ended. The steps are read only if the run's revision has changed,
   * as it does with each of their transitions.
   *
   * @throws {RunNotFoundError} if the run does not exist.
   * @throws {CorruptRowError} if a row cannot be read.
   */
  async read(signal: AbortSignal | undefined): Promise<{
    readonly changes: readonly RunProgress[];
    readonly isFinal: boolean;
  }> {
    const run = await this.#store.getRun(this.#runId, { payloads: false, signal });
    const isFinal = isFinalRunStatus(run.status);
    if (run.revision === this.#revision) return { changes: [], isFinal };
    const steps = await this.#store.listStepExecutions(this.#runId, {
      payloads: false,
      signal,
    });
    this.#revision = run.revision;
    const all = [...steps.map(progressOfStep), progressOfRun(run)];
    return { changes: all.filter((progress) => this.#isChange(progress)), isFinal };
  }

  #isChange(progress: RunProgress): boolean {
    // No step has an empty id.
    const id = progress.kind === "step" ? progress.stepId : "";
    const { at: _, ...seen } = progress;
    const text = JSON.stringify(seen);
    if (this.#seen.get(id) === text) return false;
    this.#seen.set(id, text);
    return true;
  }
}

function progressOfRun(run: WorkflowRunSummary): RunProgress {
  const { runId, status, progress, attempt, workerId, updatedAt } = run;
  return { kind: "run", runId, status, progress, attempt, workerId, at: updatedAt };
}

function progressOfStep(step: StepExecutionSummary): RunProgress {
  const { runId, stepId, status, attempt, durationMs, updatedAt } = step;
  return { kind: "step", runId, stepId, status, attempt, durationMs, at: updatedAt };
}
