import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { metrics } from "@opentelemetry/api";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { describe, expect, onTestFinished } from "vitest";
import * as z from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../src/engine/engine.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { observeQueues } from "../../src/metrics/observe-queues.ts";
import { createWorkflowTables } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { test } from "../support/fixtures.ts";

/** Serves the metrics of the global provider, and returns a function that reads them by HTTP. */
async function servePrometheus(): Promise<() => Promise<string[]>> {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
  const server = createServer((request, response) =>
    exporter.getMetricsRequestHandler(request, response),
  );
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  onTestFinished(async () => {
    metrics.disable();
    server.closeAllConnections();
    server.close();
    await exporter.shutdown();
  });
  return async () => (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split("\n");
}

const gauge = (name: string, workflow: string, value: string) =>
  expect.stringMatching(
    new RegExp(
      `^gorkflow_queue_${name}\\{gorkflow_workflow_id="${workflow}",gorkflow_workflow_version="1".*\\} ${value}$`,
    ),
  );

const echo = defineStep({ id: "echo", input: z.number(), output: z.number(), run: (n) => n });

describe.each(["memory", "a file", "a server"] as const)("on %s", (place) => {
  test("queues and the engine are read as Prometheus text", async ({ folder, server }) => {
    const url =
      place === "memory" ? ":memory:" : place === "a file" ? folder.database() : server.httpUrl;
    const store = await LibSQLStore.open(url);
    const read = await servePrometheus();
    const db = place === "memory" ? store.db : store.reporting;
    const workflowId = `metrics-${place.replace(" ", "-")}`;
    const stop = observeQueues(db, { workflowId });
    const createdAt = new Date(Date.now() - 60_000);
    await store.createRun({ workflowId, createdAt });
    await store.createRun({ workflowId, wakeAt: new Date(Date.now() + 60_000) });
    const waiting = await read();
    expect(waiting).toContainEqual(gauge("ready", workflowId, "1"));
    expect(waiting).toContainEqual(gauge("sleeping", workflowId, "1"));
    // At least a minute.
    expect(waiting).toContainEqual(gauge("age", workflowId, String.raw`([6-9]\d|\d{3,})[.\d]*`));

    await store.deleteRuns({ workflowId, status: "PENDING" });
    expect(await read()).toContainEqual(gauge("ready", workflowId, "0"));

    const engine = new Engine(store);
    await engine.run(defineWorkflow({ id: workflowId }).step(echo).build(), 1);
    await engine.close();
    const worked = (await read()).filter((line) => line.includes(workflowId));
    for (const name of ["runs_started", "runs_finished", "commit_duration", "claim_latency"]) {
      expect(worked).toContainEqual(expect.stringContaining(`gorkflow_${name}`));
    }

    stop();
    await store.createRun({ workflowId, createdAt });
    // The last value stays.
    expect(await read()).toContainEqual(gauge("ready", workflowId, "0"));
    await store.deleteRuns({ workflowId, status: ["PENDING", "COMPLETED"] });
    await store.close();
  });
});

test("tables with a prefix are observed, and invalid options are refused", async () => {
  const store = await LibSQLStore.open(":memory:");
  const tables = createWorkflowTables({ prefix: "app_" });
  observeQueues(store.db, { tables })();
  expect(() => observeQueues(store.db, { workflowId: "" })).toThrow(InvalidArgumentError);
  expect(() => observeQueues({} as typeof store.db)).toThrow(InvalidArgumentError);
  await store.close();
});
