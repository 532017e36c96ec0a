import { createClient } from "@libsql/client/http";
import { drizzle } from "drizzle-orm/libsql/web";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { defineWorkflow, type WorkflowBuilder } from "../../src/engine/workflow-builder.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { makeEngine, numberStep } from "./support/engines.ts";
import { observe } from "./support/observed-store.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

test.each([1, 2, 5, 20])("%i steps in a row are that many round trips and one", async (steps) => {
  let requests = 0;
  const counting: typeof fetch = (...args) => {
    requests += 1;
    return fetch(...args);
  };
  const client = createClient({ url: server.httpUrl, fetch: counting });
  onTestFinished(() => client.close());
  await migrate(client);
  const store = new LibSQLStore(drizzle({ client }));
  // How often a worker looks for more while a run is under way depends on the time.
  let emptyClaims = 0;
  const observed = observe(store, async (operation, carryOut) => {
    const result = await carryOut();
    if (operation === "claimRuns" && Array.isArray(result) && result.length === 0) emptyClaims += 1;
    return result;
  });
  let builder: WorkflowBuilder<number, number> = defineWorkflow({ id: "w" }).step(
    numberStep("0", (value) => value + 1),
  );
  for (let index = 1; index < steps; index++) {
    builder = builder.step(numberStep(String(index), (value) => value + 1));
  }
  const workflow = builder.build();
  const engine = makeEngine(observed);
  engine.register(workflow);
  const runId = await engine.start(workflow, 0);
  const ended = new Promise<unknown>((resolve) => engine.on("run.finished", resolve));
  const before = requests;
  void engine.work();
  await ended;
  await engine.close();
  expect(requests - emptyClaims - before).toBe(steps + 1);
  expect((await store.getRun(runId)).output).toBe(steps);
});
