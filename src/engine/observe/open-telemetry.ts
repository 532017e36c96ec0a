import type * as OpenTelemetry from "@opentelemetry/api";
import type { Attributes, Context, Span, SpanContext } from "@opentelemetry/api";
import { claimableSince } from "../../model/leases.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import { kindOf } from "../run/step-errors.ts";
import type { RunEnding } from "./events.ts";
import type { AttemptEnd, Telemetry } from "./telemetry.ts";

/** In seconds. */
const durationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];

/**
 * False while the app has no OpenTelemetry provider. The API keeps its providers here; loading it to ask would block for
 * tens of milliseconds.
 */
export function hasTelemetry(): boolean {
  return Reflect.has(globalThis, Symbol.for("opentelemetry.js.api.1"));
}

/**
 * OpenTelemetry with the providers that are registered now, or null if the app does not have its API. Its errors go to
 * `report`.
 */
export async function findTelemetry(report: (error: unknown) => void): Promise<Telemetry | null> {
  try {
    // Bundlers treat an import inside `try` as optional.
    return createOpenTelemetry(await import("@opentelemetry/api"), report);
  } catch {
    return null;
  }
}

/** Spans of runs and attempts, and metrics. Attributes are ids, counts and statuses, and the code or name of an error. */
function createOpenTelemetry(
  api: typeof OpenTelemetry,
  report: (error: unknown) => void,
): Telemetry {
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, metrics, propagation, trace } = api;
  const tracer = trace.getTracer("gorkflow");
  const meter = metrics.getMeter("gorkflow");
  const started = meter.createCounter("gorkflow.runs.started", {
    description: "Runs that a worker claimed",
  });
  const finished = meter.createCounter("gorkflow.runs.finished", {
    description: "Runs whose end was stored",
  });
  const claimLatency = meter.createHistogram("gorkflow.claim.latency", {
    description: "Time from when a run could be claimed until its first claim",
    unit: "s",
    advice: { explicitBucketBoundaries: durationBuckets },
  });
  const stepDuration = meter.createHistogram("gorkflow.step.duration", {
    description: "Time of an attempt of a step",
    unit: "s",
    advice: { explicitBucketBoundaries: durationBuckets },
  });
  const retries = meter.createCounter("gorkflow.step.retries", {
    description: "Failed attempts that are followed by another",
  });
  const lostLeases = meter.createCounter("gorkflow.leases.lost", {
    description: "Runs that a worker left because it no longer held them",
  });

  /** `work`, with its errors reported instead of thrown. It returns null then. */
  function guarded<Args extends unknown[], Result>(
    work: (...args: Args) => Result,
  ): (...args: Args) => Result | null {
    return (...args) => {
      try {
        return work(...args);
      } catch (error) {
        report(error);
        return null;
      }
    };
  }

  /** Calls `work` once: in the context that `enter` sets, unless it throws. An error of `work` is thrown. */
  function callWithin<Result>(enter: (call: () => void) => void, work: () => Result): Result {
    const outcomes: (() => Result)[] = [];
    const callOnce = (): void => {
      if (outcomes.length === 0) outcomes.push(outcomeOf(work));
    };
    guarded(enter)(callOnce);
    callOnce();
    const [conclude = work] = outcomes;
    return conclude();
  }

  function endSpan(span: Span, failed: boolean, attributes: Attributes): void {
    span.setAttributes(attributes);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }

  function beginStart({ id, version }: Parameters<Telemetry["beginStart"]>[0]) {
    const span = tracer.startSpan(`start ${id}`, {
      kind: SpanKind.PRODUCER,
      attributes: { "gorkflow.workflow.id": id, "gorkflow.workflow.version": version },
    });
    const carrier: Record<string, string> = {};
    // Only the span: baggage does not belong in a database.
    propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
    const enter = (call: () => void): void =>
      context.with(trace.setSpan(context.active(), span), call);
    return {
      context: Object.keys(carrier).length === 0 ? null : carrier,
      within: <Result>(work: () => Result) => callWithin(enter, work),
      end: guarded((end: { readonly runId: string } | { readonly error: unknown }) => {
        if ("runId" in end) endSpan(span, false, { "gorkflow.run.id": end.runId });
        else endSpan(span, true, { "error.type": kindOf(end.error) });
      }),
    };
  }

  function beginAttempt(
    { runId, workflowId }: WorkflowRunSummary,
    parent: Context,
    stepId: string,
    attempt: number,
  ) {
    const labels = { "gorkflow.workflow.id": workflowId, "gorkflow.step.id": stepId };
    const attributes = { ...labels, "gorkflow.run.id": runId, "gorkflow.step.attempt": attempt };
    const options = { kind: SpanKind.INTERNAL, attributes };
    const span = tracer.startSpan(`step ${stepId}`, options, parent);
    const own = trace.setSpan(parent, span);
    return {
      within: <Result>(work: () => Result) => callWithin((call) => context.with(own, call), work),
      end: guarded(({ status, durationMs, error }: AttemptEnd) => {
        const failed = status === "FAILED" || status === "RETRYING";
        stepDuration.record(durationMs / 1000, { ...labels, "gorkflow.step.status": status });
        if (status === "RETRYING") retries.add(1, labels);
        endSpan(span, failed, {
          "gorkflow.step.status": status,
          ...(failed && { "error.type": kindOf(error) }),
        });
      }),
    };
  }

  function beginRun(run: WorkflowRunSummary) {
    const { runId, workflowId, workflowVersion, attempt, workerId, startedAt } = run;
    const labels = { "gorkflow.workflow.id": workflowId };
    started.add(1, { ...labels, "gorkflow.run.resumed": attempt > 1 });
    if (attempt === 1 && startedAt !== null) {
      const latencyMs = startedAt.getTime() - claimableSince(run).getTime();
      claimLatency.record(Math.max(0, latencyMs) / 1000, labels);
    }
    const span = tracer.startSpan(`run ${workflowId}`, {
      kind: SpanKind.CONSUMER,
      // The span that was active when the worker started is unrelated.
      root: true,
      attributes: {
        ...labels,
        "gorkflow.workflow.version": workflowVersion,
        "gorkflow.run.id": runId,
        "gorkflow.run.attempt": attempt,
        ...(workerId !== null && { "gorkflow.worker.id": workerId }),
      },
    });
    const own = trace.setSpan(ROOT_CONTEXT, span);
    let isLinked = false;
    return {
      linkToStart: guarded((startContext: unknown) => {
        const start = readStart(startContext);
        if (isLinked || start === null) return;
        isLinked = true;
        span.addLink({ context: start });
      }),
      beginAttempt: guarded((stepId: string, stepAttempt: number) =>
        beginAttempt(run, own, stepId, stepAttempt),
      ),
      end: guarded((ending: RunEnding) => {
        if (ending === "lost") lostLeases.add(1, labels);
        const failed = ending === "failed" || ending === "lost" || ending === "troubled";
        endSpan(span, failed, { "gorkflow.run.ending": ending });
      }),
    };
  }

  /** Null if the context does not name the start of the run. An app may have set its own context. */
  function readStart(startContext: unknown): SpanContext | null {
    if (typeof startContext !== "object" || startContext === null) return null;
    const start = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, startContext));
    return start !== undefined && api.isSpanContextValid(start) ? start : null;
  }

  return {
    beginStart: guarded(beginStart),
    beginRun: guarded(beginRun),
    countFinished: guarded((workflowId: string, status: string) =>
      finished.add(1, { "gorkflow.workflow.id": workflowId, "gorkflow.run.status": status }),
    ),
  };
}

/** Calls `work`. Returns a function that returns its result or throws its error. */
function outcomeOf<Result>(work: () => Result): () => Result {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
