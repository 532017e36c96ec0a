import { context, metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type Histogram,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { findTelemetry } from "../../src/engine/observe/open-telemetry.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeClock, makeEngine, makeGate, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

let spans: InMemorySpanExporter;
let measurements: InMemoryMetricExporter;
let reader: PeriodicExportingMetricReader;
beforeEach(() => {
  spans = new InMemorySpanExporter();
  measurements = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  reader = new PeriodicExportingMetricReader({
    exporter: measurements,
    exportIntervalMillis: 3_600_000,
  });
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
});
afterEach(async () => {
  trace.disable();
  metrics.disable();
  context.disable();
  await reader.shutdown();
});

function spanNamed(name: string, at = 0): ReadableSpan {
  const found = spans.getFinishedSpans().filter((span) => span.name === name)[at];
  if (found === undefined) throw new Error(`no span ${name} number ${at}`);
  return found;
}

/** The points of a metric: attributes and value, for a histogram its count. */
async function points(name: string): Promise<[object, number][]> {
  await reader.forceFlush();
  const last = measurements.getMetrics().at(-1);
  const metric = last?.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .find(({ descriptor }) => descriptor.name === name);
  return (metric?.dataPoints ?? []).map(({ attributes, value }) => [
    attributes,
    typeof value === "number" ? value : (value as Histogram).count,
  ]);
}

const shaky = defineStep({
  id: "shaky",
  input: z.string(),
  output: z.string(),
  retry: { maxRetries: 1, delayMs: 0 },
  run: async (input, { attempt }) => {
    if (attempt === 1) throw new RangeError(`secret of ${input}`);
    trace.getTracer("app").startSpan("own work").end();
    return `secret of ${input}`;
  },
});

describe.each(stores)("on %s", (_, open) => {
  test("a run and its attempts are spans, with the spans of a step as children", async () => {
    const workflow = defineWorkflow({ id: "w", version: "3" })
      .step(shaky)
      .step(
        defineStep({
          id: "last",
          input: z.string(),
          output: z.string(),
          run: (input) => input,
        }),
      )
      .build();
    const engine = makeEngine(await open(), { workerId: "worker" });
    const { runId } = await trace
      .getTracer("app")
      .startActiveSpan("request", (span) =>
        engine.run(workflow, "secret").finally(() => span.end()),
      );
    await engine.close();

    const run = spanNamed("run w");
    expect(run).toMatchObject({
      kind: SpanKind.CONSUMER,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        "gorkflow.run.id": runId,
        "gorkflow.run.attempt": 1,
        "gorkflow.run.ending": "completed",
        "gorkflow.workflow.id": "w",
        "gorkflow.workflow.version": "3",
        "gorkflow.worker.id": "worker",
      },
    });
    expect(run.parentSpanContext).toBeUndefined();
    const [failed, completed] = [spanNamed("step shaky"), spanNamed("step shaky", 1)];
    expect(failed).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: {
        "gorkflow.run.id": runId,
        "gorkflow.workflow.id": "w",
        "gorkflow.step.id": "shaky",
        "gorkflow.step.attempt": 1,
        "gorkflow.step.status": "RETRYING",
        "error.type": "RangeError",
      },
    });
    expect(completed).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { "gorkflow.step.attempt": 2, "gorkflow.step.status": "COMPLETED" },
    });
    for (const step of [failed, completed, spanNamed("step last")]) {
      expect(step.parentSpanContext?.spanId).toBe(run.spanContext().spanId);
      expect(step.spanContext().traceId).toBe(run.spanContext().traceId);
    }
    expect(spanNamed("own work").parentSpanContext?.spanId).toBe(completed.spanContext().spanId);
    const told = spans.getFinishedSpans().map(({ name, attributes, status, events, links }) => ({
      name,
      attributes,
      status,
      events,
      links,
    }));
    expect(JSON.stringify(told)).not.toContain("secret");
  });

  test("runs, attempts, retries and the wait for a claim are measured", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const failing = defineWorkflow({ id: "failing" })
      .step(
        numberStep("bad", () => {
          throw new Error("bad");
        }),
      )
      .build();
    const engine = makeEngine(store, { clock });
    await engine.run(defineWorkflow({ id: "w" }).step(shaky).build(), "a");
    await engine.run(failing, 1);
    const other = defineWorkflow({ id: "cancelled" }).step(shaky).build();
    await engine.cancel(await engine.start(other, "a"));

    const [w, bad] = [{ "gorkflow.workflow.id": "w" }, { "gorkflow.workflow.id": "failing" }];
    expect(await points("gorkflow.runs.started")).toEqual([
      [{ ...w, "gorkflow.run.resumed": false }, 1],
      [{ ...bad, "gorkflow.run.resumed": false }, 1],
    ]);
    expect(await points("gorkflow.runs.finished")).toEqual([
      [{ ...w, "gorkflow.run.status": "COMPLETED" }, 1],
      [{ ...bad, "gorkflow.run.status": "FAILED" }, 1],
      [{ "gorkflow.workflow.id": "cancelled", "gorkflow.run.status": "CANCELLED" }, 1],
    ]);
    const step = { ...w, "gorkflow.step.id": "shaky" };
    expect(await points("gorkflow.step.duration")).toEqual([
      [{ ...step, "gorkflow.step.status": "RETRYING" }, 1],
      [{ ...step, "gorkflow.step.status": "COMPLETED" }, 1],
      [{ ...bad, "gorkflow.step.id": "bad", "gorkflow.step.status": "FAILED" }, 1],
    ]);
    expect(await points("gorkflow.step.retries")).toEqual([[step, 1]]);
    expect(await points("gorkflow.claim.latency")).toEqual([
      [w, 1],
      [bad, 1],
    ]);
    expect(await points("gorkflow.leases.lost")).toEqual([]);
  });

  test("a lost lease is counted, and its spans have an error status", async () => {
    const clock = makeClock();
    const store = await open(clock);
    const leaseMs = 30_000;
    const reached = makeGate();
    const proceed = makeGate();
    const workflow = defineWorkflow({ id: "w" })
      .step(
        numberStep("s", async (value, { state }) => {
          reached.open();
          await proceed.promise;
          await state.set("late", 1);
          return value;
        }),
      )
      .build();
    const engine = makeEngine(store, { leaseMs, clock });
    await engine.start(workflow, 1);
    engine.register(workflow);
    void engine.work();
    await reached.promise;
    clock.advance(leaseMs);
    await store.claimRuns({ workerId: "other", leaseMs, limit: 1 });
    proceed.open();
    await engine.close();
    expect(await points("gorkflow.leases.lost")).toEqual([[{ "gorkflow.workflow.id": "w" }, 1]]);
    expect(await points("gorkflow.runs.finished")).toEqual([]);
    expect(spanNamed("step s").attributes).toMatchObject({ "gorkflow.step.status": "INTERRUPTED" });
    expect(spanNamed("run w")).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { "gorkflow.run.ending": "lost" },
    });
  });
});

test("spans of a step's transaction belong to the step's span", async () => {
  const [, [, openFile]] = stores as [(typeof stores)[number], (typeof stores)[number]];
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    run: (value, ctx) =>
      ctx.transaction(async () => {
        trace.getTracer("app").startSpan("in the transaction").end();
        return value;
      }),
  });
  const engine = makeEngine(await openFile());
  const run = await engine.run(defineWorkflow({ id: "w" }).step(step).build(), 1);
  expect(run.status).toBe("COMPLETED");
  expect(spanNamed("in the transaction").parentSpanContext?.spanId).toBe(
    spanNamed("step s").spanContext().spanId,
  );
});

test("an app without the API has no telemetry", async () => {
  vi.doMock("@opentelemetry/api", () => {
    throw new Error("Cannot find package '@opentelemetry/api'");
  });
  try {
    expect(await findTelemetry(() => {})).toBeNull();
  } finally {
    vi.doUnmock("@opentelemetry/api");
  }
  expect(await findTelemetry(() => {})).not.toBeNull();
});
