import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Outcome } from "../run/stage-run.ts";
import type { RunEnding } from "./events.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/**
 * Traces and measures an engine. It never gets an input, an output or a message. Methods report errors instead of throwing
 * them, so that an app's provider or sampler cannot disturb a run.
 */
export interface Telemetry {
  beginStart(workflow: Pick<Workflow, "id" | "version">): StartTelemetry | null;
  beginRun(run: WorkflowRunSummary): RunTelemetry | null;
  countFinished(workflowId: string, status: "COMPLETED" | "FAILED" | "CANCELLED"): void;
}

/** The key of the start's span in a context that an app has given to `start`. */
const traceKey = "gorkflow.trace";

/** The context to store: that of the app with the fields of the start's span. An empty one is stored without them. */
export function withTrace(context: object | null, trace: object | null): object | null {
  const isEmpty = context !== null && Object.keys(context).length === 0;
  return trace === null || isEmpty ? context : { ...context, [traceKey]: trace };
}

/** The fields of the start's span in a stored context. An app that creates runs itself may store them without the key. */
export function traceOf(context: unknown): unknown {
  return hasTrace(context) ? context[traceKey] : context;
}

/** The context that the app gave to `start`; null if it gave none. */
export function withoutTrace(context: unknown): unknown {
  if (!hasTrace(context)) return context;
  const { [traceKey]: _, ...own } = context;
  return Object.keys(own).length === 0 ? null : own;
}

/** The id of the trace in which a run with this context was started; null if there is none. */
export function traceIdOf(context: unknown): string | null {
  if (!hasTrace(context)) return null;
  const { traceparent } = Object(context[traceKey]) as { readonly traceparent?: unknown };
  return /^[\da-f]{2}-(?!0+-)([\da-f]{32})-/.exec(String(traceparent))?.[1] ?? null;
}

function hasTrace(context: unknown): context is { readonly [traceKey]: unknown } {
  return typeof context === "object" && context !== null && Object.hasOwn(context, traceKey);
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
  committed(durationMs: number): void;
  end(ending: RunEnding): void;
}

export type AttemptTelemetry = Span<AttemptEnd>;

export interface AttemptEnd {
  readonly status: Outcome["status"] | "INTERRUPTED";
  readonly durationMs: number;
  readonly error?: unknown;
}
