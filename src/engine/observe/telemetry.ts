import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { AttemptEnding } from "../run/stage-run.ts";
import type { RunEnding } from "./events.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/**
 * Traces and measures an engine. It never gets an input, an output or a message. An app's provider or sampler must not
 * disturb a run: the errors of all methods are reported instead of thrown.
 */
export interface Telemetry {
  /** A run of the workflow will be stored. */
  beginStart(workflow: Pick<Workflow, "id" | "version">): StartTelemetry | null;
  /** A claimed run begins or continues here. */
  beginRun(run: WorkflowRunSummary): RunTelemetry | null;
  /** The end of the run has been stored. */
  countFinished(workflowId: string, status: "COMPLETED" | "FAILED" | "CANCELLED"): void;
}

interface Span<End> {
  /** Calls `work` so that its spans belong to this one. */
  within<Result>(work: () => Result): Result;
  end(end: End): void;
}

interface StartTelemetry extends Span<{ readonly runId: string } | { readonly error: unknown }> {
  /**
   * Stored with the run, so that the worker's telemetry can link to the start: the fields of the app's propagator, such
   * as the W3C's `traceparent`. Null if there are none.
   */
  readonly context: Readonly<Record<string, string>> | null;
}

export interface RunTelemetry {
  /** Links the run to its start, if `context` names it. */
  linkToStart(context: unknown): void;
  beginAttempt(stepId: string, attempt: number): AttemptTelemetry | null;
  end(ending: RunEnding): void;
}

export type AttemptTelemetry = Span<AttemptEnd>;

export interface AttemptEnd {
  readonly status: AttemptEnding["status"] | "INTERRUPTED";
  readonly durationMs: number;
  readonly error?: unknown;
}
