import type * as OpenTelemetry from "@opentelemetry/api";
import type { Attributes, Context, Span, SpanContext } from "@opentelemetry/api";
import { claimableSince } from "../../model/leases.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import { kindOf } from "../run/step-errors.ts";
import type { RunEnding } from "./events.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { Outcome } from "../run/stage-run.ts";
import { traceOf } from "./trace-context.ts";

/** In seconds. */
const durationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];

/**
 * True once the app has registered an OpenTelemetry provider. The API stores its providers under this symbol. To load it
 * for this check would block for tens of milliseconds.
 */
export function hasTelemetry(): boolean {
  return Reflect.has(globalThis, Symbol.for("opentelemetry.js.api.1"));
}

/**
 * OpenTelemetry with the registered providers, or null if its API is not installed. `report` gets the errors of telemetry.
 */
export async function findTelemetry(report: (error: unknown) => void): Promise<Telemetry | null> {
  try {
    // Bundlers treat an import inside `try` as optional.
    return createOpenTelemetry(await import("@opentelemetry/api"), report);
  } catch {
    return null;
  }
}

/**
 * Traces and measures an engine. Attributes contain ids, counts, statuses, and codes or names of errors, never an input, an
 * output or a message. Methods report errors instead of throwing them, so that an app's provider or sampler cannot disturb
 * a run.
 */
function createOpenTelemetry(api: typeof OpenTelemetry, report: (error: unknown) => void) {
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, metrics, propagation, trace } = api;
  const tracer = trace.getTracer("gorkflow");
  const meter = metrics.getMeter("gorkflow");
  const started = meter.createCounter("gorkflow.runs.started", {
    description: "Runs that a worker claimed",
  });
  const finished = meter.createCounter("gorkflow.runs.finished", {
    description: "Runs whose end was stored",
  });
  const histogram = (name: string, description: string) =>
    meter.createHistogram(name, {
      description,
      unit: "s",
      advice: { explicitBucketBoundaries: durationBuckets },
    });
  const claimLatency = histogram(
    "gorkflow.claim.latency",
    "Time from when a run could be claimed until its first claim",
  );
  const commitDuration = histogram(
    "gorkflow.commit.duration",
    "Time until the store has committed a change of a run, with retries",
  );
  const stepDuration = histogram("gorkflow.step.duration", "Time of an attempt of a step");
  const retries = meter.createCounter("gorkflow.step.retries", {
    description: "Failed attempts that are followed by another",
  });
  const lostLeases = meter.createCounter("gorkflow.leases.lost", {
    description: "Runs that a worker left because it no longer held them",
  });

  /** Wraps `work`: it reports errors and returns null instead of throwing. */
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

  /** Calls `work` once, in the context that `enter` sets unless `enter` throws. */
  function callWithin<T>(enter: (call: () => void) => void, work: () => Promise<T>): Promise<T> {
    let result: Promise<T> | undefined;
    guarded(enter)(() => (result ??= work()));
    return result ?? work();
  }

  function endSpan(span: Span, failed: boolean, attributes: Attributes): void {
    span.setAttributes(attributes);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }

  function beginStart({ id, version }: Pick<Workflow, "id" | "version">) {
    const span = tracer.startSpan(`start ${id}`, {
      kind: SpanKind.PRODUCER,
      attributes: { "gorkflow.workflow.id": id, "gorkflow.workflow.version": version },
    });
    const carrier: Record<string, string> = {};
    // Baggage does not belong in a database, so only the span is injected.
    propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
    const enter = (call: () => void): void =>
      context.with(trace.setSpan(context.active(), span), call);
    return {
      /** The fields of the app's propagator, or null. They are stored with the run, whose span links to them. */
      context: Object.keys(carrier).length === 0 ? null : carrier,
      within: <T>(work: () => Promise<T>) => callWithin(enter, work),
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
      within: <T>(work: () => Promise<T>) => callWithin((call) => context.with(own, call), work),
      end: guarded(
        (status: Outcome["status"] | "INTERRUPTED", durationMs: number, error: unknown) => {
          const failed = status === "FAILED" || status === "RETRYING";
          stepDuration.record(durationMs / 1000, { ...labels, "gorkflow.step.status": status });
          if (status === "RETRYING") retries.add(1, labels);
          endSpan(span, failed, {
            "gorkflow.step.status": status,
            ...(failed && { "error.type": kindOf(error) }),
          });
        },
      ),
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
      // The span that is active in the worker is unrelated.
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
        const start = readStart(traceOf(startContext));
        if (isLinked || start === null) return;
        isLinked = true;
        span.addLink({ context: start });
      }),
      beginAttempt: guarded((stepId: string, stepAttempt: number) =>
        beginAttempt(run, own, stepId, stepAttempt),
      ),
      committed: guarded((durationMs: number) => commitDuration.record(durationMs / 1000, labels)),
      end: guarded((ending: RunEnding) => {
        if (ending === "lost") lostLeases.add(1, labels);
        const failed = ending === "failed" || ending === "lost" || ending === "troubled";
        endSpan(span, failed, { "gorkflow.run.ending": ending });
      }),
    };
  }

  /** The span of the run's start, or null if the context, which an app may set, does not contain it. */
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

export type Telemetry = ReturnType<typeof createOpenTelemetry>;
export type RunTelemetry = ReturnType<Telemetry["beginRun"]>;
