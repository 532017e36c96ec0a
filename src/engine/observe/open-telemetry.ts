import type * as OpenTelemetry from "@opentelemetry/api";
import type { Attributes, Context, Span, SpanContext } from "@opentelemetry/api";
import { claimableSince } from "../../model/leases.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import { kindOf } from "../run/step-errors.ts";
import type { RunEnding } from "./events.ts";
import type {
  AttemptEnd,
  AttemptTelemetry,
  RunTelemetry,
  StartTelemetry,
  Telemetry,
} from "./telemetry.ts";
import type { Workflow } from "../definition/workflow-builder.ts";

/** In seconds. */
const durationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];

/** Spans of runs and attempts, and metrics. Attributes are ids, counts and statuses, and the code or name of an error. */
export function createOpenTelemetry(api: typeof OpenTelemetry): Telemetry {
  const {
    ROOT_CONTEXT,
    SpanKind,
    SpanStatusCode,
    context,
    isSpanContextValid,
    metrics,
    propagation,
    trace,
  } = api;
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

  function endSpan(span: Span, failed: boolean, attributes: Attributes): void {
    span.setAttributes(attributes);
    if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
  }

  function beginStart({ id, version }: Pick<Workflow, "id" | "version">): StartTelemetry {
    const span = tracer.startSpan(`start ${id}`, {
      kind: SpanKind.PRODUCER,
      attributes: { "gorkflow.workflow.id": id, "gorkflow.workflow.version": version },
    });
    const carrier: Record<string, string> = {};
    // Only the span: baggage does not belong in a database.
    propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
    return {
      context: Object.keys(carrier).length === 0 ? null : carrier,
      within: (work) => context.with(trace.setSpan(context.active(), span), work),
      end(end) {
        if ("runId" in end) endSpan(span, false, { "gorkflow.run.id": end.runId });
        else endSpan(span, true, { "error.type": kindOf(end.error) });
      },
    };
  }

  function beginAttempt(
    { runId, workflowId }: WorkflowRunSummary,
    parent: Context,
    stepId: string,
    attempt: number,
  ): AttemptTelemetry {
    const labels = { "gorkflow.workflow.id": workflowId, "gorkflow.step.id": stepId };
    const span = tracer.startSpan(
      `step ${stepId}`,
      {
        kind: SpanKind.INTERNAL,
        attributes: { ...labels, "gorkflow.run.id": runId, "gorkflow.step.attempt": attempt },
      },
      parent,
    );
    const own = trace.setSpan(parent, span);
    return {
      within: (work) => context.with(own, work),
      end({ status, durationMs, error }: AttemptEnd) {
        const failed = status === "FAILED" || status === "RETRYING";
        stepDuration.record(durationMs / 1000, { ...labels, "gorkflow.step.status": status });
        if (status === "RETRYING") retries.add(1, labels);
        endSpan(span, failed, {
          "gorkflow.step.status": status,
          ...(failed && { "error.type": kindOf(error) }),
        });
      },
    };
  }

  function beginRun(run: WorkflowRunSummary): RunTelemetry {
    const { runId, workflowId, workflowVersion, attempt, workerId, startedAt } = run;
    const labels = { "gorkflow.workflow.id": workflowId };
    started.add(1, { ...labels, "gorkflow.run.resumed": attempt > 1 });
    if (attempt === 1 && startedAt !== null) {
      claimLatency.record(
        Math.max(0, startedAt.getTime() - claimableSince(run).getTime()) / 1000,
        labels,
      );
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
      linkToStart(startContext) {
        const start = readStart(startContext);
        if (isLinked || start === null) return;
        isLinked = true;
        span.addLink({ context: start });
      },
      beginAttempt: (stepId, stepAttempt) => beginAttempt(run, own, stepId, stepAttempt),
      end(ending: RunEnding) {
        if (ending === "lost") lostLeases.add(1, labels);
        const failed = ending === "failed" || ending === "lost" || ending === "troubled";
        endSpan(span, failed, { "gorkflow.run.ending": ending });
      },
    };
  }

  /** Null if the context does not name the start of the run. An app may have set its own context. */
  function readStart(startContext: unknown): SpanContext | null {
    if (typeof startContext !== "object" || startContext === null) return null;
    const start = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, startContext));
    return start !== undefined && isSpanContextValid(start) ? start : null;
  }

  return {
    beginStart,
    beginRun,
    countFinished: (workflowId, status) =>
      finished.add(1, { "gorkflow.workflow.id": workflowId, "gorkflow.run.status": status }),
  };
}
