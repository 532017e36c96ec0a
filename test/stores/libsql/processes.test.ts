import { count } from "drizzle-orm";
import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { StoreBusyError, StoreConnectionError } from "../../../src/errors.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { schema } from "../../../src/schema/schema.ts";
import { stepExecutions, workflowRuns } from "../../../src/schema/tables.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram } from "../../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

let programs: { readonly creator: string; readonly lockHolder: string };
beforeAll(async () => {
  programs = {
    creator: await compileProgram(`${import.meta.dirname}/programs/creator.ts`),
    lockHolder: await compileProgram(`${import.meta.dirname}/programs/run-lock-holder.ts`),
  };
});

let folder: TemporaryFolder;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = folder.database().slice("file:".length);
  await (await LibSQLStore.open(folder.database())).close();
});
afterEach(() => folder.remove());

async function holdLock(holdMs: number) {
  const holder = startProgram<{ held: boolean }>(programs.lockHolder, [path, String(holdMs)]);
  await holder.message(({ held }) => held);
  return holder;
}

/** What a process that knows nothing of the others finds in the file. */
async function runIdsOnDisk(): Promise<Set<string>> {
  const store = await LibSQLStore.open(folder.database());
  const rows = await store.db.select({ runId: workflowRuns.runId }).from(workflowRuns);
  await store.close();
  return new Set(rows.map(({ runId }) => runId));
}

test("what is acknowledged while another process holds the lock, and after it, is on the disk", async () => {
  const store = await LibSQLStore.open(folder.database());
  const holder = await holdLock(400);
  const created = await Promise.all(
    Array.from({ length: 50 }, () => store.createRun({ workflowId: "w" })),
  );
  await holder.ended;
  for (let n = 0; n < 50; n++) created.push(await store.createRun({ workflowId: "w" }));
  const onDisk = await runIdsOnDisk();
  expect(created.filter(({ runId }) => !onDisk.has(runId))).toEqual([]);
  expect(onDisk.size).toBe(101);
  await store.close();
});

test("a lock that outlasts the patience is a StoreBusyError, and nothing is half-done", async () => {
  const store = await LibSQLStore.open({ url: folder.database(), busyTimeoutMs: 50 });
  const holder = await holdLock(600);
  await expect(store.createRun({ workflowId: "w" })).rejects.toThrow(StoreBusyError);
  await holder.ended;
  await store.createRun({ workflowId: "w" });
  expect((await runIdsOnDisk()).size).toBe(2);
  await store.close();
});

test("four processes create a thousand runs on one file, each with its step, and each once", async () => {
  const creators = Array.from({ length: 4 }, (_, n) =>
    startProgram<{ acknowledged: string }>(programs.creator, [folder.database(), `p${n}`, "250"]),
  );
  const ends = await Promise.all(creators.map(({ ended }) => ended));
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const acknowledged = creators.flatMap(({ messages }) =>
    messages.map((each) => each.acknowledged),
  );
  expect(acknowledged).toHaveLength(1000);
  expect(await runIdsOnDisk()).toEqual(new Set(acknowledged));
  const store = await LibSQLStore.open(folder.database());
  expect(await store.db.select({ n: count() }).from(stepExecutions)).toEqual([{ n: 1000 }]);
  await store.close();
});

describe("in an app's own database on @libsql/client", () => {
  test("nothing that is acknowledged is lost to a lock, and an unsafe client is named", async () => {
    const client = createClient({ url: folder.database() });
    await migrate(client);
    const store = new LibSQLStore(drizzle({ client, schema }));
    const holder = await holdLock(300);
    // The app's own statement meets the lock, and spoils the connection that it ran on.
    await client.execute("delete from workflow_runs where run_id = 'none'").catch(() => undefined);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => store.createRun({ workflowId: "w" })),
    );
    await holder.ended;
    const onDisk = await runIdsOnDisk();
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") expect(onDisk).toContain(outcome.value.runId);
      else expect([StoreBusyError, StoreConnectionError]).toContain(outcome.reason.constructor);
    }
    client.close();
  });
});
