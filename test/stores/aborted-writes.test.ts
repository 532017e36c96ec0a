import { expect, test } from "vitest";
import { drizzle } from "drizzle-orm/libsql";
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
