import type { WorkflowRunSummary } from "../schema/rows.ts";
import { createOpenTelemetry } from "./open-telemetry.ts";
import type { RunEnding } from "./run-execution.ts";
import type { Workflow } from "./workflow-builder.ts";

/** Traces and measures what an engine does. Nothing of it is told an input, an output or a message. */
export interface Telemetry {
  /**
   * A run of the workflow is about to be stored, by `store`, with this context: the telemetry of whoever works on it
   * finds the start in it. Null where there is nothing to find.
   */
  traceStart<Run extends { readonly runId: string }>(
    workflow: Pick<Workflow, "id" | "version">,
    store: (context: StartContext | null) => Promise<Run>,
  ): Promise<Run>;
  /** A claimed run begins or goes on here. */
  beginRun(run: WorkflowRunSummary): RunTelemetry;
  /** The end of the run has been stored. */
  countFinished(workflowId: string, status: FinalStatus): void;
}

/** Where a run was started, as the app's propagator writes it: `traceparent`, by the W3C. */
export type StartContext = Readonly<Record<string, string>>;

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
const noRun: RunTelemetry = { linkToStart: nothing, beginAttempt: () => noAttempt, end: nothing };

export const noTelemetry: Telemetry = {
  traceStart: (_, store) => store(null),
  beginRun: () => noRun,
  countFinished: nothing,
};

/**
 * OpenTelemetry, when the app has its API, with the providers that are registered now; nothing otherwise.
 *
 * The import stands inside `try`: so a bundler takes the module for optional, too.
 */
export async function findTelemetry(): Promise<Telemetry> {
  try {
    return createOpenTelemetry(await import("@opentelemetry/api"));
  } catch {
    return noTelemetry;
  }
}
