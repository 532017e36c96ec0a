import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Outcome, PassedStep } from "../run/stage-run.ts";
import type { EventEmitter, RunEnding } from "./events.ts";
import type { BoundLogger } from "./logger.ts";
import type { AttemptTelemetry, RunTelemetry, Telemetry } from "./open-telemetry.ts";

interface Audience {
  readonly run: WorkflowRunSummary;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly telemetry: Telemetry | null;
}

/** Reports one claimed run to the logger, the listeners and the telemetry. */
export class RunObserver {
  readonly #audience: Audience;
  #telemetry: RunTelemetry = null;

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  started(): void {
    const { events, telemetry, run } = this.#audience;
    this.#telemetry = telemetry?.beginRun(run) ?? null;
    events.emit("run.started", run.runId, () => fieldsOf(run));
  }

  /** The run was loaded. `context` is the one of its start. */
  loaded(context: unknown): void {
    this.#telemetry?.linkToStart(context);
  }

  /** A change of the run was stored. */
  committed(durationMs: number): void {
    this.#telemetry?.committed(durationMs);
  }

  ended(ending: RunEnding): void {
    const { logger, events, telemetry, run } = this.#audience;
    const { runId, workflowId } = run;
    logger.info({ runId, workflowId, ending }, "run ended here");
    this.#telemetry?.end(ending);
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
    const { events, run } = this.#audience;
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

  beginAttempt(stepId: string, attempt: number): AttemptObserver {
    const telemetry = this.#telemetry?.beginAttempt(stepId, attempt) ?? null;
    return new AttemptObserver(this.#audience, stepId, attempt, telemetry);
  }
}

export class AttemptObserver {
  readonly #audience: Audience;
  readonly #stepId: string;
  readonly #attempt: number;
  readonly #telemetry: AttemptTelemetry;
  readonly #begunAt = performance.now();

  constructor(audience: Audience, stepId: string, attempt: number, telemetry: AttemptTelemetry) {
    this.#audience = audience;
    this.#stepId = stepId;
    this.#attempt = attempt;
    this.#telemetry = telemetry;
    audience.events.emit("step.started", audience.run.runId, () => this.#fields());
  }

  /** Calls `work` so that its spans belong to the attempt. */
  within<Result>(work: () => Result): Result {
    return this.#telemetry === null ? work() : this.#telemetry.within(work);
  }

  /** The outcome was stored, or is undefined if the attempt was interrupted. `error` is the value that the step threw. */
  ended(outcome: Outcome | undefined, error: unknown): void {
    const { logger, events, run } = this.#audience;
    const { runId, workflowId } = run;
    const durationMs = performance.now() - this.#begunAt;
    this.#telemetry?.end(outcome?.status ?? "INTERRUPTED", durationMs, error);
    const logged = { runId, workflowId, stepId: this.#stepId, attempt: this.#attempt };
    const describe = () => ({ ...this.#fields(), durationMs });
    if (outcome === undefined) {
      events.emit("step.interrupted", runId, describe);
    } else if (outcome.status === "COMPLETED") {
      logger.debug(logged, "step completed");
      events.emit("step.finished", runId, () => ({ ...describe(), status: outcome.status }));
    } else if (outcome.status === "FAILED") {
      logger.warn({ ...logged, err: error }, "step failed");
      events.emit("step.finished", runId, () => ({ ...describe(), status: outcome.status, error }));
    } else if (outcome.status === "RETRYING") {
      const { delayMs } = outcome;
      logger.warn({ ...logged, err: error }, "step failed and is tried again");
      events.emit("step.retrying", runId, () => ({ ...describe(), delayMs, error }));
    } else {
      logger.debug({ ...logged, until: outcome.until }, "step sleeps");
      events.emit("step.sleeping", runId, () => ({ ...describe(), until: outcome.until }));
    }
  }

  #fields() {
    return { ...fieldsOf(this.#audience.run), stepId: this.#stepId, attempt: this.#attempt };
  }
}

/** The fields that every event of a run has. */
export function fieldsOf({ runId, workflowId, workflowVersion, attempt }: WorkflowRunSummary) {
  return { runId, workflowId, workflowVersion, runAttempt: attempt };
}
