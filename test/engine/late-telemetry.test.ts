import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const { findTelemetry } = vi.hoisted(() => ({ findTelemetry: vi.fn() }));
vi.mock("../../src/engine/observe/open-telemetry.ts", async (importOriginal) => {
  const original =
    await importOriginal<typeof import("../../src/engine/observe/open-telemetry.ts")>();
  findTelemetry.mockImplementation(original.findTelemetry);
  return { ...original, findTelemetry };
});

// Another test file of the same process may have registered a provider, and has loaded the engine without the mock.
const forgetTelemetry = () => {
  Reflect.deleteProperty(globalThis, Symbol.for("opentelemetry.js.api.1"));
  vi.resetModules();
};
beforeEach(forgetTelemetry);
afterEach(forgetTelemetry);

test("the OpenTelemetry API is loaded once a provider is registered", async () => {
  const { defineWorkflow } = await import("../../src/engine/definition/workflow-builder.ts");
  const { MemoryStore } = await import("../../src/stores/memory/memory-store.ts");
  const { makeEngine, numberStep } = await import("./support/engines.ts");
  const engine = makeEngine(new MemoryStore());
  const workflow = defineWorkflow({ id: "w" })
    .step(numberStep("s", (value) => value))
    .build();
  await engine.run(workflow, 1);
  expect(findTelemetry).not.toHaveBeenCalled();

  const spans = new InMemorySpanExporter();
  const { trace } = await import("@opentelemetry/api");
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
  );
  await engine.run(workflow, 1);
  await vi.waitFor(() =>
    expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual(
      expect.arrayContaining(["start w", "run w", "step s"]),
    ),
  );
  expect(findTelemetry).toHaveBeenCalledOnce();
});
