import { createClient as createUpstream } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import Database from "libsql";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { attempt } from "../equivalence/operations.ts";
import { temporaryFolder } from "../support/temporary.ts";

test.each(["a file", "memory"])(
  "a write that is aborted while it waits for the writer of %s is never stored",
  async (place) => {
    const folder = await temporaryFolder();
    const client = createClient(place === "memory" ? ":memory:" : folder.database());
    await migrate(client);
    const store = new LibSQLStore(drizzle({ client }));
    await store.createRun({ runId: "r", workflowId: "w" });
    const transaction = await client.transaction("write");
    const controller = new AbortController();
    const { signal } = controller;
    const writes = [
      store.createRun({ runId: "created", workflowId: "w" }, { signal }),
      store.updateRun("r", { progress: 0.5 }, { signal }),
      store.saveState("r", "k", 1, { signal }),
      store.deleteRun("r", { signal }),
      store.batch((write) => write.saveStepOutput("r", "s", 1), { signal }),
    ].map((write) => attempt(() => write));
    const kept = store.createRun({ runId: "kept", workflowId: "w" });
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error("too late"));
    await transaction.commit();
    for (const outcome of await Promise.all(writes)) {
      expect(outcome).toMatchObject({ error: { message: "too late" } });
    }
    await kept;
    const { bundles } = await store.readBundles();
    expect(bundles.map(({ run }) => run.runId).toSorted()).toEqual(["kept", "r"]);
    const own = bundles.find(({ run }) => run.runId === "r");
    expect([own?.run.progress, own?.outputs, own?.state]).toEqual([0, [], []]);
    client.close();
    await folder.remove();
  },
);

test("a write on @libsql/client that is aborted while another connection has the lock is never stored", async () => {
  const folder = await temporaryFolder();
  const client = createUpstream({ url: folder.database() });
  await migrate(client);
  const store = new LibSQLStore(drizzle({ client }));
  await store.createRun({ runId: "r", workflowId: "w" });
  const other = new Database(folder.database().slice("file:".length));
  const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => store.updateRun("r", { progress: 0.5 }, { signal }),
    (signal) => store.batch((write) => write.saveStepOutput("r", "s", 1), { signal }),
    (signal) => store.transaction((tx) => tx.saveState("r", "k", 1), { signal }),
  ];
  for (const call of calls) {
    const controller = new AbortController();
    other.exec("begin immediate");
    const outcome = attempt(() => call(controller.signal));
    await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort(new Error("too late"));
    expect(await outcome).toMatchObject({ error: { message: "too late" } });
    other.exec("commit");
    // This waits for its turn behind the aborted call.
    await store.createRun({ workflowId: "w" });
  }
  const { bundles } = await store.readBundles();
  const own = bundles.find(({ run }) => run.runId === "r");
  expect([own?.run.progress, own?.outputs, own?.state]).toEqual([0, [], []]);
  other.close();
  client.close();
  await folder.remove();
});
