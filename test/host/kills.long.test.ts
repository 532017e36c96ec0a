import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { stepOutputs, workflowRuns } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { makeEngine } from "../engine/support/engines.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";
import {
  effects,
  effectsDefinition,
  effectStepIds,
  effectWorkflow,
} from "./support/effect-workflow.ts";
import { orders, ordersDefinition } from "./support/host-databases.ts";

const kills = Number(process.env["KILLS"] ?? 12);
const timeoutMs = 60_000 + kills * 5000;

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/order-worker.ts`);
});

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function prepare(client: Client) {
  cleanups.push(() => client.close());
  await migrate(client);
  await client.batch([ordersDefinition, effectsDefinition], "write");
}

/** Ends processes that place and carry out orders, each at a random point of its work. */
async function killWorkers(
  url: string,
  rounds: number,
  betweenKills: (round: number) => Promise<void>,
) {
  for (let round = 0; round < rounds; round++) {
    const worker = startProgram<{ placed?: string }>(program, [url]);
    await worker.message(({ placed }) => placed !== undefined);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    await worker.kill();
    await betweenKills(round);
  }
}

/** Lets a last worker finish what the others left, and holds the app's rows against the store's. */
async function expectEveryEffectOnce(client: Client, rounds: number) {
  const db = drizzle({ client });
  const engine = makeEngine(new LibSQLStore(db), { leaseMs: 400, concurrency: 50 });
  engine.register(effectWorkflow);
  const placed = await db.select().from(orders);
  for (const { runId } of placed) await engine.wait(runId ?? "");

  const runs = await db
    .select({ runId: workflowRuns.runId, status: workflowRuns.status })
    .from(workflowRuns);
  // An order and its run were one commit.
  expect(runs.map(({ runId }) => runId).toSorted()).toEqual(
    placed.map(({ runId }) => runId ?? "").toSorted(),
  );
  expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["COMPLETED"]));

  // An effect, its step's output and the step's completion were one commit: the tokens are those of one attempt.
  const expected = runs.flatMap(({ runId }) => effectStepIds.map((stepId) => `${runId} ${stepId}`));
  const done = await db.select().from(effects);
  expect(done.map(({ runId, stepId }) => `${runId} ${stepId}`).toSorted()).toEqual(
    expected.toSorted(),
  );
  const outputs = await db.select().from(stepOutputs);
  expect(outputs.map(({ output }) => output as string).toSorted()).toEqual(
    done.map(({ token }) => token).toSorted(),
  );
  expect(placed.length).toBeGreaterThanOrEqual(rounds);
}

test(
  "in a file, no effect of a step is there twice, and none is missing, whenever its process is killed",
  async () => {
    const folder = await temporaryFolder();
    cleanups.push(() => folder.remove());
    const client = createClient(folder.database());
    await prepare(client);
    await killWorkers(folder.database(), kills, async () => {});
    await expectEveryEffectOnce(client, kills);
  },
  timeoutMs,
);

test(
  "on a server, neither, though it is killed as well",
  async () => {
    const server: Sqld = await startSqld();
    cleanups.push(() => server.stop());
    const client = createRemoteClient({ url: server.httpUrl });
    await prepare(client);
    const rounds = Math.ceil(kills / 3);
    await killWorkers(server.httpUrl, rounds, async (round) => {
      // A server keeps the transaction of a client that is gone, and its lock, for 5 seconds; one in four is waited for.
      if (round % 4 !== 3) await server.restart();
    });
    await expectEveryEffectOnce(client, rounds);
  },
  timeoutMs,
);
