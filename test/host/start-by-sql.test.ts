import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../src/engine/engine.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { test } from "../support/fixtures.ts";

const root = join(import.meta.dirname, "../..");

/** Runs SQL in another process with the bare SQLite binding: nothing of this package is involved. */
async function runElsewhere(url: string, sql: string): Promise<void> {
  const program = `
    import Database from "libsql";
    const [path, sql] = process.argv.slice(1);
    const database = new Database(path, { timeout: 5000 });
    database.exec(sql);
    database.close();`;
  const args = ["--input-type=module", "-e", program, url.slice("file:".length), sql];
  await promisify(execFile)(process.execPath, args, { cwd: root });
}

/** The insert that docs/drizzle-apps.md documents. */
async function documentedInsert(): Promise<string> {
  const page = await readFile(join(root, "docs/drizzle-apps.md"), "utf8");
  const [, sql = ""] = /sqlite3 shop.db "(insert into workflow_runs [^]*?)"\n```/.exec(page) ?? [];
  return sql.replaceAll('\\"', '"');
}

const checkout = defineWorkflow({ id: "checkout" })
  .step(
    defineStep({
      id: "pay",
      input: z.object({ orderId: z.string() }),
      output: z.string(),
      run: ({ orderId }) => `paid ${orderId}`,
    }),
  )
  .build();

test("the documented insert of another process starts a run in the app's own transaction", async ({
  folder,
}) => {
  const url = folder.database();
  const store = await LibSQLStore.open(url);
  const engine = new Engine(store);
  engine.register(checkout);
  const work = engine.work();
  try {
    const insert = await documentedInsert();
    await runElsewhere(
      url,
      `create table orders (order_id text primary key);
       begin immediate; insert into orders values ('o-3'); ${insert}; commit;`,
    );
    expect(await engine.wait("r-1")).toMatchObject({ status: "COMPLETED", output: "paid o-3" });
  } finally {
    await engine.close();
    await work;
    await store.close();
  }
});

test("an inserted run has the columns of a created one", async ({ folder }) => {
  const url = folder.database();
  const store = await LibSQLStore.open(url);
  await runElsewhere(url, await documentedInsert());
  const inserted = await store.getRun("r-1");
  const { createdAt, updatedAt, input } = inserted;
  const created = await store.createRun({ workflowId: "checkout", createdAt, updatedAt, input });
  expect(inserted).toEqual({ ...created, runId: "r-1" });
  await store.close();
});

test("an inserted run whose input does not match its workflow fails, and a used key is rejected", async ({
  folder,
}) => {
  const url = folder.database();
  const store = await LibSQLStore.open(url);
  const engine = new Engine(store);
  engine.register(checkout);
  const insert = (runId: string) =>
    runElsewhere(
      url,
      `insert into workflow_runs (run_id, workflow_id, input, idempotency_key, created_at, updated_at)
       values ('${runId}', 'checkout', '{"orderId":7}', 'order-7', 1767225600000, 1767225600000)`,
    );
  await insert("r-7");
  await expect(insert("r-8")).rejects.toThrow(/UNIQUE constraint failed/);
  expect(await engine.wait("r-7")).toMatchObject({
    status: "FAILED",
    error: { code: "STEP_VALIDATION", stepId: "pay" },
  });
  await engine.close();
  await store.close();
});
