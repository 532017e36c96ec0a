// Nothing of ours writes to a table that is not ours, whatever is asked of it.
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createClient } from "../../src/client/create-client.ts";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { applyRetention } from "../../src/retention/index.ts";
import { createWorkflowTables } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { TestClock } from "../../src/testing/test-clock.ts";
import { compareStores, copyStore } from "../../src/transfer/index.ts";
import { makeEngine } from "../engine/support/engines.ts";
import { attempt, sequences } from "../equivalence/operations.ts";
import { plantRebuild } from "../migrations/support/planted-rebuild.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** Names that are almost ours. */
const appTables = ["orders", "runs", "steps", "workflows", "my_workflow_runs", "app_step_outputs"];

/** Tables of an app, and triggers that note whatever is done to their rows. */
async function setTraps(client: Client): Promise<void> {
  const traps = appTables.flatMap((table) => [
    `create table ${table} (run_id text primary key, note text)`,
    `insert into ${table} values ('r', 'kept')`,
    ...["insert", "update", "delete"].map(
      (event) =>
        `create trigger ${table}_${event} after ${event} on ${table} begin insert into trap values ('${event} ${table}'); end`,
    ),
  ]);
  await client.migrate(["create table trap (what text)", ...traps]);
}

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function openPlace(place: string): Promise<{ url: string; client: Client }> {
  if (place === "a server") {
    const server = await startSqld();
    const client = createRemoteClient({ url: server.httpUrl });
    cleanups.push(
      () => server.stop(),
      () => client.close(),
    );
    return { url: server.httpUrl, client };
  }
  const folder = await temporaryFolder();
  const client = createClient(folder.database());
  cleanups.push(
    () => folder.remove(),
    () => client.close(),
  );
  return { url: folder.database(), client };
}

/** All that is there and not ours: definitions, rows, and what the traps have caught. */
async function readApp(client: Client): Promise<unknown> {
  const definitions = await client.execute(
    `select name, sql from sqlite_schema where sql is not null and tbl_name not glob 'workflow_*'
     and tbl_name not glob 'step_*' and tbl_name not glob '__gorkflow_*' order by name`,
  );
  const rows = await client.batch(
    ["trap", ...appTables].map((table) => `select * from ${table}`),
    "read",
  );
  return [definitions, ...rows].map((result) => result.rows.map((row) => Array.from(row)));
}

const fails = defineStep({
  id: "fails",
  input: z.number(),
  output: z.number(),
  retry: { maxRetries: 1, delayMs: 0 },
  run: (): number => {
    throw new Error("it does");
  },
});
const passes = defineStep({ id: "passes", input: z.number(), output: z.number(), run: (n) => n });
const workflow = defineWorkflow({ id: "w" }).step(passes).step(fails).build();

describe.each([
  { place: "a file", sequencesHere: 60 },
  { place: "a server", sequencesHere: 10 },
])("in $place", ({ place, sequencesHere }) => {
  test("tables of the app are what they were after all that a store, an engine, a migration and a tool can do", async () => {
    const { url, client } = await openPlace(place);
    await setTraps(client);
    const before = await readApp(client);

    await applyMigrations(client, compiledMigrations.slice(0, 1));
    const clock = new TestClock();
    const store = await LibSQLStore.open({ url, clock: clock.now });
    cleanups.push(() => store.close());
    const done = new Set<string>();
    for (const operations of fc.sample(sequences, { numRuns: sequencesHere, seed: 7 })) {
      const memory = { cursor: null, prevCursor: null, bundleCursor: null };
      for (const operation of operations) {
        clock.advance(operation.advanceMs);
        await attempt(() => operation.run(store, memory));
        done.add(operation.words);
      }
    }
    expect(done.size).toBeGreaterThan(50);

    const working = await LibSQLStore.open(url);
    cleanups.push(() => working.close());
    expect((await makeEngine(working).run(workflow, 1)).status).toBe("FAILED");
    const copy = new MemoryStore();
    await copyStore(working, copy);
    await copyStore(copy, working, { resume: true });
    await compareStores(copy, working);
    await applyRetention(working, { rules: [{ maxAgeMs: 1 }] });
    await working.pruneRuns({ olderThan: new Date(Date.now() + 1e12), statuses: ["PENDING"] });

    await client.execute("drop index workflow_runs_status_idx");
    const [missing] = (await doctor(client)).findings;
    await client.execute(missing?.remedy.replace(/^run: /, "") ?? "");
    expect((await doctor(client)).healthy).toBe(true);
    await applyMigrations(client, [...compiledMigrations, await plantRebuild()]);

    expect(await readApp(client)).toEqual(before);
    await client.execute("update runs set note = 'lost'");
    expect(await readApp(client)).not.toEqual(before);
  }, 60_000);
});

test("tables with types for JSON are the same tables, and only tables", () => {
  const tables = createWorkflowTables({ prefix: "app_" });
  const typed = tables.$type<{ Context: { readonly traceId: string } }>();
  expect(typed).toEqual({ ...tables });
  expect(typed.workflowRuns).toBe(tables.workflowRuns);
  expect(Object.keys(tables)).toEqual(Object.keys(typed));
  expect("$type" in typed).toBe(false);
});

test("a temporary table that hides one of ours is named, and gets none of its rows", async () => {
  const { client, url } = await openPlace("a file");
  const store = await LibSQLStore.open(url);
  cleanups.push(() => store.close());
  const { runId } = await store.createRun({ workflowId: "w" });
  const { $client } = store.db;
  await $client.execute("create temp table WORKFLOW_RUNS as select * from workflow_runs");
  const update = (on: Pick<LibSQLStore, "updateRun">) => on.updateRun(runId, { progress: 0.5 });
  for (const refused of [update(store), store.transaction(update)]) {
    await expect(refused).rejects.toMatchObject({
      code: "STORE_CONNECTION",
      outcome: "none",
      message:
        "the temporary table or view WORKFLOW_RUNS hides a table of the database: drop it, or give it another name",
    });
  }
  await $client.execute("drop table temp.workflow_runs");
  await $client.execute("create temp table scratch as select * from workflow_runs");
  expect((await update(store)).progress).toBe(0.5);
  expect((await client.execute("select progress from workflow_runs")).rows).toEqual([
    { progress: 0.5 },
  ]);
});
