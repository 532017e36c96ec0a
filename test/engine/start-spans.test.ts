import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type ContextManager,
} from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { makeEngine, makeLogger, numberStep } from "./support/engines.ts";
import { stores } from "./support/stores.ts";

let spans: InMemorySpanExporter;
beforeEach(() => {
  spans = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
});
afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

const spansNamed = (name: string): ReadableSpan[] =>
  spans.getFinishedSpans().filter((span) => span.name === name);
const linksOf = ({ links }: ReadableSpan) =>
  links.map(({ context: { traceId, spanId } }) => ({ traceId, spanId }));

describe.each(stores)("on %s", (_, open) => {
  test("each worker's span of a run links to the start, in any process", async () => {
    const store = await open();
    let healthy = false;
    const workflow = defineWorkflow({ id: "w", version: "3" })
      .step(
        numberStep("s", (value) => {
          if (healthy) return value;
          throw new Error("not yet");
        }),
      )
      .build();
    const starter = makeEngine(store);
    const baggage = propagation.createBaggage({ user: { value: "ada" } });
    const runId = await context.with(propagation.setBaggage(context.active(), baggage), () =>
      trace
        .getTracer("app")
        .startActiveSpan("request", (span) => starter.start(workflow, 1).finally(() => span.end())),
    );
    const worker = makeEngine(store);
    worker.register(workflow);
    expect((await worker.wait(runId)).status).toBe("FAILED");
    healthy = true;
    await worker.retry(runId);
    expect((await worker.wait(runId)).status).toBe("COMPLETED");
    await worker.close();

    const [start] = spansNamed("start w") as [ReadableSpan];
    const { traceId, spanId } = start.spanContext();
    expect(start).toMatchObject({
      kind: SpanKind.PRODUCER,
      status: { code: SpanStatusCode.UNSET },
      parentSpanContext: { spanId: spansNamed("request")[0]?.spanContext().spanId },
      attributes: {
        "gorkflow.run.id": runId,
        "gorkflow.workflow.id": "w",
        "gorkflow.workflow.version": "3",
      },
    });
    const runs = spansNamed("run w");
    expect(runs.map(linksOf)).toEqual([[{ traceId, spanId }], [{ traceId, spanId }]]);
    for (const run of runs) expect(run.parentSpanContext).toBeUndefined();
    expect((await store.getRun(runId)).context).toEqual({
      "gorkflow.trace": { traceparent: `00-${traceId}-${spanId}-01` },
    });
  });

  test("a context that is given to a start is read unchanged beside the span", async () => {
    const store = await open();
    const given = { tenant: "acme", traceparent: "the app's own" };
    let seen: unknown;
    const step = numberStep("s", async (value, ctx) => {
      seen = await ctx.context();
      return value;
    });
    const workflow = defineWorkflow({ id: "w" }).step(step).build();
    await makeEngine(store).start(workflow, 1, { context: given });
    const engine = makeEngine(store).register(workflow);
    expect(await engine.recover()).toBe(1);
    await engine.close();
    expect(seen).toEqual(given);
    const [start] = spansNamed("start w") as [ReadableSpan];
    const { traceId, spanId } = start.spanContext();
    expect(spansNamed("run w").map(linksOf)).toEqual([[{ traceId, spanId }]]);
  });

  test.each([undefined, {}])(
    "a start with the context %j does not read the span",
    async (given) => {
      const seen: unknown[] = [];
      const step = numberStep("s", async (value, ctx) => {
        seen.push(await ctx.context());
        return value;
      });
      const workflow = defineWorkflow({ id: "w" }).step(step).build();
      const engine = makeEngine(await open());
      expect((await engine.run(workflow, 1, { context: given })).status).toBe("COMPLETED");
      await engine.close();
      expect(seen).toEqual([given ?? null]);
    },
  );

  test("a run that its own engine executes has a link, too", async () => {
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    const engine = makeEngine(await open());
    await engine.run(workflow, 1);
    await engine.close();
    const [start] = spansNamed("start w") as [ReadableSpan];
    const { traceId, spanId } = start.spanContext();
    expect(spansNamed("run w").map(linksOf)).toEqual([[{ traceId, spanId }]]);
  });

  test("an app's own context stays unchanged, and a span in it is linked", async () => {
    const store = await open();
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const spanId = "b7ad6b7169203331";
    const contexts = [
      { traceparent: `00-${traceId}-${spanId}-01`, tenant: "acme" },
      { traceparent: 5 },
      "text",
      [1],
    ];
    for (const own of contexts) await store.createRun({ workflowId: "w", input: 1, context: own });
    const engine = makeEngine(store, { concurrency: 1 });
    engine.register(
      defineWorkflow({ id: "w" })
        .step(numberStep("s", (value) => value))
        .build(),
    );
    expect(await engine.recover()).toBe(contexts.length);
    await engine.close();
    expect(spansNamed("run w").map(linksOf)).toEqual([[{ traceId, spanId }], [], [], []]);
    const { runs } = await store.listRuns({ payloads: true });
    expect(runs.map((run) => run.context).toReversed()).toEqual(contexts);
  });

  test("a failed start has a span with an error status", async () => {
    const store = await open();
    await store.close();
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    await expect(makeEngine(store).start(workflow, 1)).rejects.toThrow();
    expect(spansNamed("start w")).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { "error.type": "STORE_CLOSED" } },
    ]);
  });

  test("telemetry that always throws affects neither a start nor a run, and is reported", async () => {
    trace.disable();
    const fails = (): never => {
      throw new Error("no telemetry today");
    };
    const workflow = defineWorkflow({ id: "w" })
      .step(numberStep("s", (value) => value))
      .build();
    const store = await open();
    for (const spanProcessor of [
      { onStart: fails, onEnd: () => {} },
      { onStart: () => {}, onEnd: fails },
    ]) {
      const processor = { ...spanProcessor, forceFlush: async () => {}, shutdown: async () => {} };
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
      const logger = makeLogger();
      const engine = makeEngine(store, { logger });
      expect(await engine.run(workflow, 1)).toMatchObject({ status: "COMPLETED", output: 1 });
      await engine.close();
      const warnings = logger.reports.filter(({ level }) => level === "warn");
      expect(new Set(warnings.map(({ message }) => message))).toEqual(
        new Set(["telemetry failed"]),
      );
      trace.disable();
    }
  });

  test.each(["before", "after"])(
    "a context manager that throws %s the work disturbs neither a start nor a run",
    async (when) => {
      const manager = {
        active: () => ROOT_CONTEXT,
        with: (_context: unknown, work: () => unknown) => {
          if (when === "after") work();
          throw new Error("no context today");
        },
        bind: (_context: unknown, target: unknown) => target,
        enable: () => manager,
        disable: () => manager,
      };
      context.disable();
      context.setGlobalContextManager(manager as unknown as ContextManager);
      let calls = 0;
      const workflow = defineWorkflow({ id: "w" })
        .step(
          numberStep("s", (value) => {
            calls += 1;
            return value;
          }),
        )
        .build();
      const run = await makeEngine(await open()).run(workflow, 1);
      expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
      expect(calls).toBe(1);
    },
  );

  test("without a propagator, no context is stored and no span linked", async () => {
    propagation.disable();
    const engine = makeEngine(await open());
    const run = await engine.run(
      defineWorkflow({ id: "w" })
        .step(numberStep("s", (value) => value))
        .build(),
      1,
    );
    await engine.close();
    expect(run.context).toBeNull();
    expect(spansNamed("run w").map(linksOf)).toEqual([[]]);
  });
});
