import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Outcome } from "../run/stage-run.ts";
import type { RunEnding } from "./events.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/**
 * Traces and measures an engine. It never gets an input, an output or a message. Methods report errors instead of throwing
 * them, so that an app's provider or sampler cannot disturb a run.
 */
export interface Telemetry {
  /** Begins the span of a start. */
  beginStart(workflow: Pick<Workflow, "id" | "version">): StartTelemetry | null;
  /** Begins the span of a claimed run. */
  beginRun(run: WorkflowRunSummary): RunTelemetry | null;
  /** Counts a run whose end was stored. */
  countFinished(workflowId: string, status: "COMPLETED" | "FAILED" | "CANCELLED"): void;
}

interface Span<End> {
  /** Calls `work` with this span as the parent of its spans. */
  within<Result>(work: () => Result): Result;
  end(end: End): void;
}

interface StartTelemetry extends Span<{ readonly runId: string } | { readonly error: unknown }> {
  /**
   * The fields of the app's propagator, such as `traceparent`, or null. They are stored with the run, so that the worker's
   * span can link to the start.
   */
  readonly context: Readonly<Record<string, string>> | null;
}

export interface RunTelemetry {
  /** Links the run to its start if `context` contains the start's span. */
  linkToStart(context: unknown): void;
  beginAttempt(stepId: string, attempt: number): AttemptTelemetry | null;
  end(ending: RunEnding): void;
}

export type AttemptTelemetry = Span<AttemptEnd>;

export interface AttemptEnd {
  readonly status: Outcome["status"] | "INTERRUPTED";
  readonly durationMs: number;
  readonly error?: unknown;
}
