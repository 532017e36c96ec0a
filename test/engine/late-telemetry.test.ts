import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { expect, test, vi } from "vitest";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, numberStep } from "./support/engines.ts";

const { findTelemetry } = vi.hoisted(() => ({ findTelemetry: vi.fn() }));
vi.mock("../../src/engine/observe/find-telemetry.ts", async (importOriginal) => {
  const original =
    await importOriginal<typeof import("../../src/engine/observe/find-telemetry.ts")>();
  findTelemetry.mockImplementation(original.findTelemetry);
  return { ...original, findTelemetry };
});

test("the API of OpenTelemetry is loaded once a provider is registered, and not before", async () => {
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
