import type { RunChanges } from "../model/changes.ts";
import type { NewStepExecution } from "../schema/rows.ts";
import type { BatchWriter } from "../store/batches.ts";
import type { Clock } from "../store/clock.ts";
import type { Entry, RunResult } from "./stage-entry.ts";
import {
  countEnded,
  newStepRow,
  writeOutcome,
  type Outcome,
  type StageRun,
  type StepRun,
} from "./step-run.ts";

/** Something that has happened in a run. */
export interface RunEvent {
  /** Where the run is; null before its first stage. */
  readonly stage: StageRun | null;
  /** A step that has ended, or is to be tried again. */
  readonly settled?: { readonly step: StepRun; readonly outcome: Outcome };
  /** Steps of a reopened run, which begin anew. */
  readonly reopened?: readonly StepRun[];
  /** What comes next, when the stage has ended. */
  readonly entry?: Entry;
  /** What comes next is left to the next worker. */
  readonly givenBack?: boolean;
}

/** What an event changes, all of it in one commit. */
export interface RunWrites {
  readonly run: RunChanges;
  /** The rows of its steps. */
  readonly steps: (write: BatchWriter) => void;
}

/** The writes of an event, and what holds once they are committed. */
export interface Transition {
  readonly writes: RunWrites;
  readonly committed: () => void;
}

/**
 * Turns the events of a run into batches, each of which is one commit.
 *
 * The batch that completes a step also begins the next one and moves the run's progress. The rows of what comes
 * first in a claim wait for the first batch. So n steps in a row are one claim and n batches, and a run that is
 * RUNNING without rows is at its first step. Every batch changes the run, and with it its revision: who cancels
 * a run can tell that nothing has changed since it looked.
 */
export class RunLedger {
  readonly #runId: string;
  readonly #workerId: string;
  readonly #totalSteps: number;
  readonly #clock: Clock;
  readonly #onPassed: (row: NewStepExecution) => void;
  /** Steps that ended before the current stage. */
  #endedSteps: number;
  /** Passed over, with rows that wait for the first batch. */
  #deferred: Entry | null = null;

  constructor(options: {
    readonly runId: string;
    readonly workerId: string;
    readonly totalSteps: number;
    readonly endedSteps: number;
    readonly clock: Clock;
    /** Called with the row of a step that was passed over, when it is committed. */
    readonly onPassed: (row: NewStepExecution) => void;
  }) {
    this.#runId = options.runId;
    this.#workerId = options.workerId;
    this.#totalSteps = options.totalSteps;
    this.#endedSteps = options.endedSteps;
    this.#clock = options.clock;
    this.#onPassed = options.onPassed;
  }

  /** Lets the rows of `entry` wait for the first batch. */
  defer(entry: Entry): void {
    this.#deferred = entry;
    this.#endedSteps += entry.passed.length;
  }

  /** True while rows wait for a batch. */
  hasDeferredRows(stage: StageRun): boolean {
    return this.#deferred !== null || stage.steps.some(({ stored }) => !stored);
  }

  record({ stage, settled, reopened = [], entry, givenBack = false }: RunEvent): Transition {
    const now = this.#clock();
    const ended =
      this.#endedSteps + (stage === null ? 0 : countEnded(stage)) + (entry?.passed.length ?? 0);
    const next = entry === undefined || "status" in entry.next ? null : entry.next;
    const result = entry !== undefined && "status" in entry.next ? entry.next : null;
    return {
      writes: {
        run: {
          progress: ended / this.#totalSteps,
          ...(result !== null ? finish(result) : givenBack && { status: "PENDING" }),
        },
        steps: (write) => {
          this.#writePassed(write, this.#deferred);
          if (stage !== null) {
            if (settled) {
              const author = { runId: this.#runId, workerId: this.#workerId, now };
              writeOutcome(write, author, stage, settled.step, settled.outcome);
            }
            this.#writeBegun(write, stage, settled?.step ?? null, "RUNNING", now);
          }
          for (const step of reopened) this.#writeReopened(write, step, now);
          this.#writePassed(write, entry ?? null);
          if (next) this.#writeBegun(write, next, null, givenBack ? "PENDING" : "RUNNING", now);
        },
      },
      committed: () => {
        const passed = [...(this.#deferred?.passed ?? []), ...(entry?.passed ?? [])];
        this.#deferred = null;
        for (const row of passed) this.#onPassed(row);
        if (entry !== undefined) this.#endedSteps = ended;
        for (const step of [...(stage?.steps ?? []), ...(next?.steps ?? [])]) step.stored = true;
      },
    };
  }

  #writePassed(write: BatchWriter, entry: Entry | null): void {
    for (const row of entry?.passed ?? []) {
      if (row.stepId === entry?.failedStepId) this.#writePassedAgain(write, row);
      else write.createStepExecution(row);
    }
    for (const stepId of entry?.nullOutputs ?? []) write.saveStepOutput(this.#runId, stepId, null);
  }

  #writePassedAgain(
    write: BatchWriter,
    { stepId, input, status, error, completedAt }: NewStepExecution,
  ): void {
    write.updateStepExecution(this.#runId, stepId, {
      input,
      status,
      error: error ?? null,
      completedAt,
    });
  }

  #writeBegun(
    write: BatchWriter,
    stage: StageRun,
    except: StepRun | null,
    status: "RUNNING" | "PENDING",
    now: Date,
  ): void {
    for (const step of stage.steps) {
      if (step.stored || step === except) continue;
      write.createStepExecution({
        ...newStepRow(this.#runId, step.planned, stage.input, step.startedAt ?? now),
        status,
        ...(status === "RUNNING" && { attempt: step.attempt, startedAt: step.startedAt ?? now }),
      });
    }
  }

  #writeReopened(write: BatchWriter, step: StepRun, now: Date): void {
    write.updateStepExecution(this.#runId, step.planned.definition.id, {
      status: "RUNNING",
      attempt: step.attempt,
      attemptOffset: step.attemptOffset,
      sleepCount: 0,
      wakeAt: null,
      error: null,
      startedAt: now,
      completedAt: null,
      durationMs: null,
    });
  }
}

function finish(result: RunResult): RunChanges {
  return result.status === "COMPLETED"
    ? { status: "COMPLETED", output: result.output, progress: 1 }
    : { status: "FAILED", error: result.error };
}
