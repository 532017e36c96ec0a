import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Outcome, PassedStep } from "../run/stage-run.ts";
import type { EventEmitter, RunEnding } from "./events.ts";
import type { BoundLogger } from "./logger.ts";
import type { RunTelemetry, Telemetry } from "./open-telemetry.ts";

export type AttemptObserver = ReturnType<RunObserver["beginAttempt"]>;

interface ObserverScope {
  readonly run: WorkflowRunSummary;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly telemetry: Telemetry | null;
}

/** Reports one claimed run to the logger, the listeners and the telemetry. */
export class RunObserver {
  readonly #scope: ObserverScope;
  #runTelemetry: RunTelemetry = null;

  constructor(scope: ObserverScope) {
    this.#scope = scope;
  }

  started(): void {
    const { run, events, telemetry } = this.#scope;
    this.#runTelemetry = telemetry?.beginRun(run) ?? null;
    events.emit("run.started", run.runId, () => fieldsOf(run));
  }

  /** The run was loaded. `context` is the one of its start. */
  loaded(context: unknown): void {
    this.#runTelemetry?.linkToStart(context);
  }

  /** A change of the run was stored. */
  committed(durationMs: number): void {
    this.#runTelemetry?.committed(durationMs);
  }

  ended(ending: RunEnding): void {
    const { run, logger, events, telemetry } = this.#scope;
    const { runId, workflowId } = run;
    logger.info({ runId, workflowId, ending }, "run ended here");
    this.#runTelemetry?.end(ending);
    if (ending === "completed" || ending === "failed") {
      const status = ending === "completed" ? ("COMPLETED" as const) : ("FAILED" as const);
      telemetry?.countFinished(workflowId, status);
      events.emit("run.finished", runId, () => ({ ...fieldsOf(run), status }));
    } else {
      events.emit("run.left", runId, () => ({ ...fieldsOf(run), reason: ending }));
    }
  }

  /** The steps do not run because of their conditions. */
  passed(steps: readonly PassedStep[]): void {
    const { run, events } = this.#scope;
    for (const { planned, status, error } of steps) {
      events.emit("step.finished", run.runId, () => ({
        ...fieldsOf(run),
        stepId: planned.definition.id,
        attempt: 0,
        durationMs: 0,
        status,
        ...(status === "FAILED" && { error }),
      }));
    }
  }

  beginAttempt(stepId: string, attempt: number) {
    const { run, logger, events } = this.#scope;
    const { runId, workflowId } = run;
    const telemetry = this.#runTelemetry?.beginAttempt(stepId, attempt) ?? null;
    const begunAt = performance.now();
    const step = () => ({ ...fieldsOf(run), stepId, attempt });
    events.emit("step.started", runId, step);
    return {
      /** Calls `work` so that its spans belong to the attempt. */
      within: <T>(work: () => Promise<T>): Promise<T> =>
        telemetry === null ? work() : telemetry.within(work),

      /** The outcome was stored, or is undefined if the attempt was interrupted. `error` is what the step threw. */
      ended(outcome: Outcome | undefined, error: unknown): void {
        const durationMs = performance.now() - begunAt;
        telemetry?.end(outcome?.status ?? "INTERRUPTED", durationMs, error);
        const logged = { runId, workflowId, stepId, attempt };
        const describe = () => ({ ...step(), durationMs });
        if (outcome === undefined) {
          events.emit("step.interrupted", runId, describe);
        } else if (outcome.status === "COMPLETED") {
          logger.debug(logged, "step completed");
          events.emit("step.finished", runId, () => ({ ...describe(), status: outcome.status }));
        } else if (outcome.status === "FAILED") {
          const { status } = outcome;
          logger.warn({ ...logged, err: error }, "step failed");
          events.emit("step.finished", runId, () => ({ ...describe(), status, error }));
        } else if (outcome.status === "RETRYING") {
          const { delayMs } = outcome;
          logger.warn({ ...logged, err: error }, "step failed and is tried again");
          events.emit("step.retrying", runId, () => ({ ...describe(), delayMs, error }));
        } else {
          logger.debug({ ...logged, until: outcome.until }, "step sleeps");
          events.emit("step.sleeping", runId, () => ({ ...describe(), until: outcome.until }));
        }
      },
    };
  }
}

/** The fields that every event of a run has. */
export function fieldsOf({ runId, workflowId, workflowVersion, attempt }: WorkflowRunSummary) {
  return { runId, workflowId, workflowVersion, runAttempt: attempt };
}
