import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { RunEnding } from "../run/run-execution.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/** Traces and measures what an engine does. Nothing of it is told an input, an output or a message. */
export interface Telemetry {
  /** A run of the workflow is about to be stored. */
  beginStart(workflow: Pick<Workflow, "id" | "version">): StartTelemetry;
  /** A claimed run begins or goes on here. */
  beginRun(run: WorkflowRunSummary): RunTelemetry;
  /** The end of the run has been stored. */
  countFinished(workflowId: string, status: FinalStatus): void;
}

export interface StartTelemetry {
  /**
   * To be stored with the run: the telemetry of whoever works on it finds the start in it, as the app's propagator has
   * written it (`traceparent`, by the W3C). Null where there is nothing to find.
   */
  readonly context: Readonly<Record<string, string>> | null;
  /** Calls `work` so that the spans it makes belong to the start. */
  within<Result>(work: () => Result): Result;
  end(end: { readonly runId: string } | { readonly error: unknown }): void;
}

export interface RunTelemetry {
  /** Links the run to where it was started, if `context` says where that was. */
  linkToStart(context: unknown): void;
  beginAttempt(stepId: string, attempt: number): AttemptTelemetry;
  end(ending: RunEnding): void;
}

export interface AttemptTelemetry {
  /** Calls `work` so that the spans it makes belong to the attempt. */
  within<Result>(work: () => Result): Result;
  end(end: AttemptEnd): void;
}

type FinalStatus = "COMPLETED" | "FAILED" | "CANCELLED";

export interface AttemptEnd {
  readonly status: "COMPLETED" | "FAILED" | "RETRYING" | "SLEEPING" | "INTERRUPTED";
  readonly durationMs: number;
  readonly error?: unknown;
}

const nothing = (): void => {};
export const noAttempt: AttemptTelemetry = { within: (work) => work(), end: nothing };
export const noStart: StartTelemetry = { context: null, within: (work) => work(), end: nothing };
export const noRun: RunTelemetry = {
  linkToStart: nothing,
  beginAttempt: () => noAttempt,
  end: nothing,
};

export const noTelemetry: Telemetry = {
  beginStart: () => noStart,
  beginRun: () => noRun,
  countFinished: nothing,
};
