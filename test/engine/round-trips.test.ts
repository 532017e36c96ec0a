import { createClient } from "@libsql/client/http";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql/web";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { stepIf } from "../../src/engine/definition/conditional-step.ts";
import {
  defineWorkflow,
  type Workflow,
  type WorkflowBuilder,
} from "../../src/engine/definition/workflow-builder.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
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

/** A store on the server, and the number of its requests without empty claims. */
async function openCounted() {
  let requests = 0;
  const counting: typeof fetch = (...args) => {
    requests += 1;
    return fetch(...args);
  };
  const client = createClient({ url: server.httpUrl, fetch: counting });
  onTestFinished(() => client.close());
  await migrate(client);
  const store = new LibSQLStore(drizzle({ client }));
  // The number of claims during a run depends on timing.
  let emptyClaims = 0;
  const observed = observe(store, async (operation, carryOut) => {
    const result = await carryOut();
    if (operation === "claimRuns" && Array.isArray(result) && result.length === 0) emptyClaims += 1;
    return result;
  });
  return { client, store, observed, sent: () => requests - emptyClaims };
}

/** The number of requests for a started run of the workflow. */
async function requestsOf(
  { observed, sent }: Awaited<ReturnType<typeof openCounted>>,
  workflow: Workflow<number, number>,
): Promise<{ runId: string; requests: number }> {
  const engine = makeEngine(observed);
  engine.register(workflow);
  const runId = await engine.start(workflow, 0);
  const ended = new Promise<unknown>((resolve) => engine.on("run.finished", resolve));
  const before = sent();
  void engine.work();
  await ended;
  await engine.close();
  return { runId, requests: sent() - before };
}

test.each([1, 2, 5, 20])(
  "%i steps in a row take one round trip each and one for the claim",
  async (steps) => {
    const counted = await openCounted();
    let builder: WorkflowBuilder<number, number> = defineWorkflow({ id: "w" }).step(
      numberStep("0", (value) => value + 1),
    );
    for (let index = 1; index < steps; index++) {
      builder = builder.step(numberStep(String(index), (value) => value + 1));
    }
    const { runId, requests } = await requestsOf(counted, builder.build());
    expect(requests).toBe(steps + 1);
    expect((await counted.store.getRun(runId)).output).toBe(steps);
  },
);

test("a step in a transaction takes a round trip for each write and two for the savepoint", async () => {
  const counted = await openCounted();
  await counted.client.execute("create table effects (value integer)");
  const step = defineStep({
    id: "s",
    input: z.number(),
    output: z.number(),
    run: (_, ctx) =>
      ctx.transaction(async (tx) => {
        await tx.run(sql`insert into effects values (1)`);
        return 1;
      }),
  });
  const { runId, requests } = await requestsOf(
    counted,
    defineWorkflow({ id: "w" }).step(step).build(),
  );
  const [claim, effect, run, row, output, savepoint, commit] = [1, 1, 1, 1, 1, 2, 1];
  expect(requests).toBe(claim + effect + run + row + output + savepoint + commit);
  expect((await counted.store.getRun(runId)).output).toBe(1);
});

test("the conditions of parallel steps take one round trip, and bytes pass through a server", async () => {
  const counted = await openCounted();
  const bytes = z.instanceof(Uint8Array);
  const read = defineStep({
    id: "read",
    input: z.number(),
    output: bytes,
    run: (value) => new Uint8Array([value, 255]),
  });
  const copy = <const Id extends string>(id: Id) =>
    defineStep({ id, input: bytes, output: bytes, run: (content) => content });
  const join = defineStep({
    id: "join",
    input: z.object({ run: bytes.nullable(), skipped: bytes, empty: z.null() }),
    output: z.number(),
    run: ({ run, skipped }) => (run?.length ?? 0) + skipped.length,
  });
  const empty = defineStep({ id: "empty", input: bytes, output: z.null(), run: () => null });
  const workflow = defineWorkflow({ id: "w" })
    .step(read)
    .parallel(
      stepIf((content) => content[1] === 255, copy("run")),
      stepIf(() => false, copy("skipped"), { otherwise: new Uint8Array(3) }),
      stepIf(() => false, empty),
    )
    .step(join)
    .build();
  const { runId, requests } = await requestsOf(counted, workflow);
  const [claim, readStep, conditions, copied, joined] = [1, 1, 1, 1, 1];
  expect(requests).toBe(claim + readStep + conditions + copied + joined);
  expect((await counted.store.getRun(runId)).output).toBe(5);
  expect(await counted.store.getStepExecution(runId, "join")).toMatchObject({
    input: { run: new Uint8Array([0, 255]), skipped: new Uint8Array(3), empty: null },
  });
});
