import { parseArgument } from "../arguments.ts";
import { operationOptionsSchema } from "../model/arguments.ts";
import { isFinalRunStatus } from "../model/transitions.ts";
import type { StepExecution, WorkflowRun } from "../schema/rows.ts";
import type { RunStatus, StepStatus } from "../statuses.ts";
import type { OperationOptions } from "../store/options.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { EventEmitter } from "./observe/event-emitter.ts";
import { pause } from "../async/pause.ts";
import { Backoff } from "../async/retry.ts";
import { WakeUp } from "./pauses.ts";

/** How far a run is, or one of its steps: as it was when the watch looked. There is never a payload in it. */
export type RunProgress =
  | {
      readonly kind: "run";
      readonly runId: string;
      readonly status: RunStatus;
      /** 0 to 1. */
      readonly progress: number;
      /** The claims so far. */
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

const firstLookMs = 20;
const longestLookMs = 1000;

/** Gives each transition of the run that is seen, until the run has ended. Ends at once when it is told to. */
export function watchRun(options: RunWatchOptions): AsyncGenerator<RunProgress, void> {
  const leaver = new AbortController();
  const watch = follow(options, leaver.signal);
  const finish = watch.return.bind(watch);
  // By itself, a generator is not told before it gives something, and there may be nothing to give for days.
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
  const backoff = new Backoff(firstLookMs, longestLookMs);
  const bell = new WakeUp();
  const ring = (): void => bell.ring();
  const unsubscribe = events.onRun(runId, ring);
  closing.addEventListener("abort", ring, { once: true });
  signal?.addEventListener("abort", ring, { once: true });
  left.addEventListener("abort", ring, { once: true });
  try {
    while (!left.aborted) {
      signal?.throwIfAborted();
      closing.throwIfAborted();
      const { changes, isFinal } = await view.look(signal);
      yield* changes;
      if (isFinal) return;
      if (changes.length > 0) backoff.reset();
      // However fast its steps are, a run is not read more often than this.
      await pause(firstLookMs, signal);
      if (await bell.wait(backoff.next())) backoff.reset();
    }
  } finally {
    unsubscribe();
    closing.removeEventListener("abort", ring);
    signal?.removeEventListener("abort", ring);
  }
}

/** Looks at a run again and again, and tells what is different from the last look. */
class RunView {
  readonly #store: WorkflowStore;
  readonly #runId: string;
  #revision: number | null = null;
  readonly #told = new Map<string, string>();

  constructor(store: WorkflowStore, runId: string) {
    this.#store = store;
    this.#runId = runId;
  }

  /**
   * What has changed, steps first, and whether the run has ended. The steps are read only when the run's revision
   * has changed, as it does with each of their transitions.
   *
   * @throws {RunNotFoundError} {CorruptRowError}
   */
  async look(signal: AbortSignal | undefined): Promise<{
    readonly changes: readonly RunProgress[];
    readonly isFinal: boolean;
  }> {
    const run = await this.#store.getRun(this.#runId, { signal });
    const isFinal = isFinalRunStatus(run.status);
    if (run.revision === this.#revision) return { changes: [], isFinal };
    const steps = await this.#store.listStepExecutions(this.#runId, { signal });
    this.#revision = run.revision;
    const all = [...steps.map(progressOfStep), progressOfRun(run)];
    return { changes: all.filter((progress) => this.#isNews(progress)), isFinal };
  }

  #isNews(progress: RunProgress): boolean {
    // No step has an empty id.
    const id = progress.kind === "step" ? progress.stepId : "";
    const { at: _, ...told } = progress;
    const text = JSON.stringify(told);
    if (this.#told.get(id) === text) return false;
    this.#told.set(id, text);
    return true;
  }
}

function progressOfRun(run: WorkflowRun): RunProgress {
  const { runId, status, progress, attempt, workerId, updatedAt } = run;
  return { kind: "run", runId, status, progress, attempt, workerId, at: updatedAt };
}

function progressOfStep(step: StepExecution): RunProgress {
  const { runId, stepId, status, attempt, durationMs, updatedAt } = step;
  return { kind: "step", runId, stepId, status, attempt, durationMs, at: updatedAt };
}
