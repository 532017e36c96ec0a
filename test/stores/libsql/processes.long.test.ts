import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import Database from "libsql";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { StoreBusyError, StoreConnectionError } from "../../../src/errors.ts";
import { schema } from "../../../src/schema/schema.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram } from "../../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";
import { openFileStore, type ClientKind } from "./support/file-stores.ts";

let programs: { readonly lockHolder: string; readonly writer: string };
beforeAll(async () => {
  programs = {
    lockHolder: await compileProgram(`${import.meta.dirname}/programs/lock-holder.ts`),
    writer: await compileProgram(`${import.meta.dirname}/programs/store-writer.ts`),
  };
});

let folder: TemporaryFolder;
let url: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  url = folder.database();
  const store = await LibSQLStore.open({ url, durability: "normal" });
  await store.createRun({ runId: "shared", workflowId: "shared", status: "CANCELLED" });
  await store.saveState("shared", "counter", 0);
  await store.close();
});
afterEach(() => folder.remove());

/** Another process that holds the write lock until it is told to let go. */
async function holdLock() {
  const path = url.slice("file:".length);
  const holder = startProgram<{ held: boolean }>(programs.lockHolder, [path]);
  await holder.message(({ held }) => held);
  return holder;
}

/** What the file holds, read by the bare binding in a connection that is opened for it. */
function readFile(query: string): unknown[] {
  const database = new Database(url.slice("file:".length), { readonly: true });
  try {
    return database.prepare(query).raw(true).all();
  } finally {
    database.close();
  }
}

const column = (query: string): string[] =>
  readFile(query).map((row) => String((row as unknown[])[0]));

describe.each<ClientKind>(["our own client", "an app's client"])("through %s", (kind) => {
  let store: WorkflowStore;
  let close: () => Promise<void>;
  beforeEach(async () => {
    ({ store, close } = await openFileStore(url, kind));
  });
  afterEach(() => close());

  test("what was acknowledged while and after another process held the lock is in the file", async () => {
    await store.createRun({ runId: "old", workflowId: "w" });
    const holder = await holdLock();
    const acknowledged: string[] = [];
    const acknowledge = (id: string) => () => void acknowledged.push(id);
    const writes = [
      ...Array.from({ length: 30 }, (_, n) =>
        store.createRun({ runId: `single-${n}`, workflowId: "w" }).then(acknowledge(`single-${n}`)),
      ),
      store
        .batch((write) => {
          write.createRun({ runId: "batch", workflowId: "w" });
          write.saveState("batch", "k", 1);
        })
        .then(acknowledge("batch")),
      store
        .transaction((tx) => tx.createRun({ runId: "transaction", workflowId: "w" }))
        .then(acknowledge("transaction")),
      store.updateRun("old", { status: "COMPLETED" }),
    ];
    await new Promise((resolve) => setTimeout(resolve, 450));
    expect(acknowledged).toEqual([]);
    holder.send("let go");
    await Promise.all(writes);
    await holder.ended;
    for (let n = 0; n < 30; n++) {
      await store.createRun({ runId: `later-${n}`, workflowId: "w" });
      acknowledged.push(`later-${n}`);
    }

    const found = column("select run_id from workflow_runs where run_id not in ('old', 'shared')");
    expect(found.toSorted()).toEqual(acknowledged.toSorted());
    expect(column("select status from workflow_runs where run_id = 'old'")).toEqual(["COMPLETED"]);
    expect(column("select run_id from workflow_state where key = 'k'")).toEqual(["batch"]);
  });
});

test("a lock that outlasts the patience is a StoreBusyError, and nothing is half-done", async () => {
  const store = await LibSQLStore.open({ url, busyTimeoutMs: 50 });
  const holder = await holdLock();
  const outcomes = await Promise.allSettled([
    store.createRun({ runId: "single", workflowId: "w" }),
    store.batch((write) => {
      write.createRun({ runId: "batch", workflowId: "w" });
      write.saveState("batch", "k", 1);
    }),
    store.transaction((tx) => tx.createRun({ runId: "transaction", workflowId: "w" })),
  ]);
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(StoreBusyError) });
  }
  holder.send("let go");
  await holder.ended;
  expect(column("select run_id from workflow_runs")).toEqual(["shared"]);
  await store.createRun({ runId: "later", workflowId: "w" });
  expect(column("select run_id from workflow_runs").toSorted()).toEqual(["later", "shared"]);
  await store.close();
});

test("a client that an app's own statement has spoiled acknowledges nothing that is not in the file", async () => {
  const client = createClient({ url });
  const store = new LibSQLStore(drizzle({ client, schema }));
  const holder = await holdLock();
  await expect(
    client.execute("delete from workflow_runs where run_id = 'none'"),
  ).rejects.toMatchObject({ code: "SQLITE_BUSY" });
  holder.send("let go");
  await holder.ended;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => store.createRun({ runId: `run-${n}`, workflowId: "w" })),
  );
  const found = column("select run_id from workflow_runs");
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") expect(found).toContain(outcome.value.runId);
    else expect([StoreBusyError, StoreConnectionError]).toContain(outcome.reason.constructor);
  }
  client.close();
});

const perProcess = 250;

test.each<readonly [string, readonly ClientKind[]]>([
  ["each with our own client", Array.from({ length: 4 }, () => "our own client")],
  [
    "two of them with an app's client",
    ["our own client", "our own client", "an app's client", "an app's client"],
  ],
])("four processes write one file, %s: everything is there, once", async (_, kinds) => {
  const store = await LibSQLStore.open({ url, durability: "normal" });
  await store.batch((write) => {
    for (let n = 0; n < 100; n++) write.createRun({ runId: `pending-${n}`, workflowId: "claimed" });
  });
  await store.close();

  const writers = kinds.map((kind, n) =>
    startProgram<{ written?: string; claimed?: string; counted?: boolean }>(programs.writer, [
      url,
      kind,
      `writer${n}`,
      String(perProcess),
    ]),
  );
  const ends = await Promise.all(writers.map(({ ended }) => ended));
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const messages = writers.flatMap((writer) => writer.messages);
  const written = messages.flatMap((message) => message.written ?? []);
  const claimed = messages.flatMap((message) => message.claimed ?? []);
  const counted = messages.filter((message) => message.counted);

  expect(written).toHaveLength(kinds.length * perProcess);
  const rows = column("select run_id from workflow_runs where workflow_id = 'written'");
  expect(rows.toSorted()).toEqual(written.toSorted());
  const halves = column("select run_id from workflow_state where key = 'half'").concat(
    column("select run_id from step_outputs"),
  );
  const inTwoHalves = written.filter((runId) => Number(runId.split("-")[1]) % 3 !== 0);
  expect(halves.toSorted()).toEqual(inTwoHalves.toSorted());

  expect(column("select value from workflow_state where key = 'counter'")).toEqual([
    String(counted.length),
  ]);
  expect(counted).toHaveLength(kinds.length * Math.ceil(perProcess / 10));
  const pending = Array.from({ length: 100 }, (__, n) => `pending-${n}`);
  expect(claimed.toSorted()).toEqual(pending.toSorted());
});
