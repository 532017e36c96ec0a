import { afterEach, expect, test } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { schema } from "../../src/schema/schema.ts";
import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { drizzle } from "drizzle-orm/libsql";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";

class TaggingMemoryStore extends MemoryStore {
  override async createRun(...[run, options]: Parameters<MemoryStore["createRun"]>) {
    return super.createRun({ ...run, tags: { ...run.tags, tenant: "t" } }, options);
  }
}

class TaggingLibSQLStore extends LibSQLStore {
  override async createRun(...[run, options]: Parameters<LibSQLStore["createRun"]>) {
    return super.createRun({ ...run, tags: { ...run.tags, tenant: "t" } }, options);
  }
}

const stores: WorkflowStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

test.each(["memory", "libSQL"])(
  "a subclass overrides an operation of a store on %s, and calls the one that it replaces",
  async (kind) => {
    const client = createClient(":memory:");
    await migrate(client);
    const store =
      kind === "memory"
        ? new TaggingMemoryStore()
        : new TaggingLibSQLStore(drizzle({ client, schema }));
    stores.push(store);
    const { runId } = await store.createRun({ workflowId: "w", tags: { a: "b" } });
    expect(await store.getRun(runId)).toMatchObject({ tags: { a: "b", tenant: "t" } });
    expect(Object.hasOwn(store, "createRun")).toBe(false);
    client.close();
  },
);

test("a proxy of a store reaches its operations", async () => {
  const called: PropertyKey[] = [];
  const store = new Proxy(new MemoryStore(), {
    get(target, name, receiver) {
      called.push(name);
      return Reflect.get(target, name, receiver);
    },
  });
  await store.createRun({ runId: "r", workflowId: "w" });
  expect(called).toContain("createRun");
  expect(await store.getRun("r")).toMatchObject({ workflowId: "w" });
});
