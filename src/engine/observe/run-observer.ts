import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { PassedStep } from "../run/stage-run.ts";
import type { EngineEvents, EventEmitter, RunEnding } from "./events.ts";
import type { BoundLogger } from "./logger.ts";
import { noAttempt, type AttemptEnd, type AttemptTelemetry } from "./telemetry.ts";
import type { RunTelemetry, Telemetry } from "./telemetry.ts";

/** Who is told about one claimed run. */
interface Audience {
  readonly run: WorkflowRunSummary;
  readonly logger: BoundLogger;
  readonly events: EventEmitter;
  readonly telemetry: Telemetry;
}

/** Reports one claimed run to the logger, the listeners and the telemetry. */
export class RunObserver {
  readonly #audience: Audience;
  #telemetry: RunTelemetry | null = null;

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  started(): void {
    const { events, telemetry, run } = this.#audience;
    this.#telemetry = telemetry.beginRun(run);
    events.emit("run.started", run.runId, () => fieldsOf(run));
  }

  /** The run was read; it was started with `context`. */
  loaded(context: unknown): void {
    this.#telemetry?.linkToStart(context);
  }

  ended(ending: RunEnding): void {
    const { logger, events, telemetry, run } = this.#audience;
    const { runId, workflowId } = run;
    logger.info({ runId, workflowId, ending }, "run ended here");
    this.#telemetry?.end(ending);
    if (ending === "completed" || ending === "failed") {
      const status = ending === "completed" ? ("COMPLETED" as const) : ("FAILED" as const);
      telemetry.countFinished(workflowId, status);
      events.emit("run.finished", runId, () => ({ ...fieldsOf(run), status }));
    } else {
      events.emit("run.left", runId, () => ({ ...fieldsOf(run), reason: ending }));
    }
  }

  /** Steps did not run because of their conditions. */
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
    const telemetry = this.#telemetry?.beginAttempt(stepId, attempt) ?? noAttempt;
    return new AttemptObserver(this.#audience, stepId, attempt, telemetry);
  }
}

/** Reports how one attempt of a step ends, once. */
export class AttemptObserver {
  readonly #audience: Audience;
  readonly #stepId: string;
  readonly #attempt: number;
  readonly #telemetry: AttemptTelemetry;
  readonly #begunAt = performance.now();
  #hasEnded = false;

  constructor(audience: Audience, stepId: string, attempt: number, telemetry: AttemptTelemetry) {
    this.#audience = audience;
    this.#stepId = stepId;
    this.#attempt = attempt;
    this.#telemetry = telemetry;
    audience.events.emit("step.started", audience.run.runId, () => this.#fields());
  }

  /** Calls `work` so that its spans belong to the attempt. */
  within<Result>(work: () => Result): Result {
    return this.#telemetry.within(work);
  }

  completed(): void {
    this.#audience.logger.debug(this.#logFields(), "step completed");
    const status = "COMPLETED" as const;
    this.#end(status, "step.finished", (ended) => ({ ...ended, status }));
  }

  /** `delayMs` is the time until the next attempt; null if there is none. */
  failed(error: unknown, delayMs: number | null): void {
    const { logger } = this.#audience;
    const fields = { ...this.#logFields(), err: error };
    if (delayMs === null) {
      logger.warn(fields, "step failed");
      const status = "FAILED" as const;
      this.#end(status, "step.finished", (ended) => ({ ...ended, status, error }), error);
    } else {
      logger.warn(fields, "step failed and is tried again");
      this.#end("RETRYING", "step.retrying", (ended) => ({ ...ended, delayMs, error }), error);
    }
  }

  sleeping(until: Date): void {
    this.#audience.logger.debug({ ...this.#logFields(), until }, "step sleeps");
    this.#end("SLEEPING", "step.sleeping", (ended) => ({ ...ended, until }));
  }

  /** An attempt without another report was interrupted. */
  close(): void {
    if (!this.#hasEnded) this.#end("INTERRUPTED", "step.interrupted", (ended) => ended);
  }

  #end<Type extends "step.finished" | "step.retrying" | "step.sleeping" | "step.interrupted">(
    status: AttemptEnd["status"],
    type: Type,
    describe: (
      ended: Omit<EngineEvents["step.interrupted"], "at" | "workerId">,
    ) => Omit<EngineEvents[Type], "at" | "workerId">,
    error?: unknown,
  ): void {
    this.#hasEnded = true;
    const durationMs = performance.now() - this.#begunAt;
    this.#telemetry.end({ status, durationMs, error });
    const { events, run } = this.#audience;
    events.emit(type, run.runId, () => describe({ ...this.#fields(), durationMs }));
  }

  #fields() {
    return { ...fieldsOf(this.#audience.run), stepId: this.#stepId, attempt: this.#attempt };
  }

  #logFields() {
    const { runId, workflowId } = this.#audience.run;
    return { runId, workflowId, stepId: this.#stepId, attempt: this.#attempt };
  }
}

function fieldsOf({ runId, workflowId, workflowVersion, attempt }: WorkflowRunSummary) {
  return { runId, workflowId, workflowVersion, runAttempt: attempt };
}
