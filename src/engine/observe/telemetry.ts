import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { RunEnding } from "./events.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/** Traces and measures an engine. It never gets an input, an output or a message. */
export interface Telemetry {
  /** A run of the workflow will be stored. */
  beginStart(workflow: Pick<Workflow, "id" | "version">): StartTelemetry;
  /** A claimed run begins or continues here. */
  beginRun(run: WorkflowRunSummary): RunTelemetry;
  /** The end of the run has been stored. */
  countFinished(workflowId: string, status: FinalStatus): void;
}

export interface StartTelemetry {
  /**
   * Stored with the run, so that the worker's telemetry can link to the start: the fields of the app's propagator, such
   * as the W3C's `traceparent`. Null if there are none.
   */
  readonly context: Readonly<Record<string, string>> | null;
  /** Calls `work` so that its spans belong to the start. */
  within<Result>(work: () => Result): Result;
  end(end: { readonly runId: string } | { readonly error: unknown }): void;
}

export interface RunTelemetry {
  /** Links the run to its start, if `context` names it. */
  linkToStart(context: unknown): void;
  beginAttempt(stepId: string, attempt: number): AttemptTelemetry;
  end(ending: RunEnding): void;
}

export interface AttemptTelemetry {
  /** Calls `work` so that its spans belong to the attempt. */
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
