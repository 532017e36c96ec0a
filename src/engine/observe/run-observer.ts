import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { EngineEvents } from "./engine-events.ts";
import type { EventEmitter } from "./event-emitter.ts";
import type { BoundLogger } from "./logger.ts";
import type { RunEnding } from "../run/run-execution.ts";
import type { PassedStep } from "../run/stage-run.ts";
import {
  noAttempt,
  type AttemptEnd,
  type AttemptTelemetry,
  type RunTelemetry,
  type Telemetry,
} from "./telemetry.ts";

export interface RunReportsOptions {
  readonly run: WorkflowRunSummary;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly telemetry: Telemetry;
}

/** Tells the log, the listeners and the telemetry what becomes of one claimed run, in one place. */
export class RunReports {
  readonly #options: RunReportsOptions;
  #telemetry: RunTelemetry | null = null;

  constructor(options: RunReportsOptions) {
    this.#options = options;
  }

  started(): void {
    const { events, telemetry, run } = this.#options;
    this.#telemetry = telemetry.beginRun(run);
    events.emit("run.started", this.#fields());
  }

  /** The run has been read; `context` is what its starter passed along. */
  loaded(context: unknown): void {
    this.#telemetry?.linkToStart(context);
  }

  ended(ending: RunEnding): void {
    const { logger, events, telemetry, run } = this.#options;
    const { runId, workflowId } = run;
    logger.info({ runId, workflowId, ending }, "run ended here");
    this.#telemetry?.end(ending);
    if (ending === "completed" || ending === "failed") {
      const status = ending === "completed" ? "COMPLETED" : "FAILED";
      telemetry.countFinished(workflowId, status);
      events.emit("run.finished", { ...this.#fields(), status });
    } else {
      events.emit("run.left", { ...this.#fields(), reason: ending });
    }
  }

  /** Steps were passed over: SKIPPED, or FAILED by their condition. */
  passed(steps: readonly PassedStep[]): void {
    for (const { planned, status, error } of steps) {
      const stepId = planned.definition.id;
      const fields = { ...this.#fields(), stepId, attempt: 0, durationMs: 0 };
      this.#options.events.emit(
        "step.finished",
        status === "FAILED" ? { ...fields, status, error } : { ...fields, status },
      );
    }
  }

  beginAttempt(stepId: string, attempt: number): AttemptReport {
    return new AttemptReport({
      fields: { ...this.#fields(), stepId, attempt },
      logger: this.#options.logger,
      events: this.#options.events,
      telemetry: this.#telemetry?.beginAttempt(stepId, attempt) ?? noAttempt,
    });
  }

  #fields() {
    const { runId, workflowId, workflowVersion, attempt } = this.#options.run;
    return { runId, workflowId, workflowVersion, runAttempt: attempt };
  }
}

interface AttemptReportOptions {
  readonly fields: Omit<EngineEvents["step.started"], "at" | "workerId">;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly telemetry: AttemptTelemetry;
}

/** Tells what becomes of one attempt of a step, once. */
export class AttemptReport {
  readonly #options: AttemptReportOptions;
  readonly #begunAt = performance.now();
  #ended = false;

  constructor(options: AttemptReportOptions) {
    this.#options = options;
    options.events.emit("step.started", options.fields);
  }

  /** Calls `work` so that what it traces belongs to the attempt. */
  within<Result>(work: () => Result): Result {
    return this.#options.telemetry.within(work);
  }

  completed(): void {
    const { logger, events } = this.#options;
    const ended = this.#end("COMPLETED");
    logger.debug(this.#logFields(), "step completed");
    events.emit("step.finished", { ...ended, status: "COMPLETED" });
  }

  /** The failure has been stored; `delayMs` until the next attempt, null when there is none. */
  failed(error: unknown, delayMs: number | null): void {
    const { logger, events } = this.#options;
    const ended = this.#end(delayMs === null ? "FAILED" : "RETRYING", error);
    const fields = { ...this.#logFields(), err: error };
    if (delayMs === null) {
      logger.warn(fields, "step failed");
      events.emit("step.finished", { ...ended, status: "FAILED", error });
    } else {
      logger.warn(fields, "step failed and is tried again");
      events.emit("step.retrying", { ...ended, delayMs, error });
    }
  }

  /** The step is begun again at that time. */
  sleeping(until: Date): void {
    const { logger, events } = this.#options;
    const ended = this.#end("SLEEPING");
    logger.debug({ ...this.#logFields(), until }, "step sleeps");
    events.emit("step.sleeping", { ...ended, until });
  }

  /** When nothing else was told, nothing of the attempt was stored. */
  close(): void {
    if (this.#ended) return;
    this.#options.events.emit("step.interrupted", this.#end("INTERRUPTED"));
  }

  #end(status: AttemptEnd["status"], error?: unknown) {
    const { fields, telemetry } = this.#options;
    this.#ended = true;
    const durationMs = performance.now() - this.#begunAt;
    telemetry.end({ status, durationMs, error });
    return { ...fields, durationMs };
  }

  #logFields(): object {
    const { runId, workflowId, stepId, attempt } = this.#options.fields;
    return { runId, workflowId, stepId, attempt };
  }
}
