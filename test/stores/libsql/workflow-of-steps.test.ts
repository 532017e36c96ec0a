import { expect } from "vitest";
import { migrate } from "../../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { copyStore, exportStore, importStore, MirroredStore } from "../../../src/transfer/index.ts";
import { test } from "../../support/fixtures.ts";
import { givenRuns } from "../../transfer/support/given-runs.ts";

/** The number of steps with the workflow of their run, and of all others. */
async function workflowsOf({ db }: LibSQLStore) {
  const { rows } = await db.$client.execute(
    `select count(*), sum(step_executions.workflow_id is not workflow_runs.workflow_id)
     from step_executions left join workflow_runs using (run_id)`,
  );
  return { steps: Number(rows[0]?.[0]), others: Number(rows[0]?.[1]) };
}

const orders = { workflowId: "orders", runId: "run" };

test("every write of a step stores the workflow of its run", async ({ folder }) => {
  const store = await LibSQLStore.open(folder.database());
  await store.createRun(orders);
  await store.createStepExecution({ runId: "run", stepId: "alone" });
  await store.batch((write) => {
    write.createRun({ workflowId: "bills", runId: "bill" });
    write.createStepExecution({ runId: "bill", stepId: "in a batch" });
  });
  await store.db.transaction(async (tx) => {
    await store.withTransaction(tx).createStepExecution({ runId: "bill", stepId: "in a tx" });
  });
  await givenRuns(store, 10);
  const { steps, others } = await workflowsOf(store);
  expect(steps).toBeGreaterThan(10);
  expect(others).toBe(0);
  await store.close();
});

test("an import, a copy and a mirror store it, and replace it", async ({ folder }) => {
  const source = new MemoryStore();
  await givenRuns(source, 10);
  const [imported, copied, mirrored] = await Promise.all(
    ["a", "b", "c"].map((name) => LibSQLStore.open(folder.database(name))),
  );
  await importStore(imported!, exportStore(source));
  await copyStore(source, copied!);
  const mirror = new MirroredStore(new MemoryStore(), mirrored!);
  await givenRuns(mirror, 10);
  await mirror.drain();
  for (const store of [imported!, copied!, mirrored!]) {
    const { steps, others } = await workflowsOf(store);
    expect(steps).toBeGreaterThan(5);
    expect(others).toBe(0);
  }
  const { bundles } = await imported!.readBundles();
  const moved = bundles.map((bundle) =>
    Object.assign({}, bundle, { run: { ...bundle.run, workflowId: "w" } }),
  );
  await imported!.writeBundles(moved, { onConflict: "replace" });
  expect(await workflowsOf(imported!)).toMatchObject({ others: 0 });
  await Promise.all([imported!.close(), copied!.close(), mirrored!.close(), mirror.close()]);
});

test("an update sets it in a row that an older version inserted", async ({ folder }) => {
  const store = await LibSQLStore.open(folder.database());
  await store.createRun(orders);
  await store.db.run(
    "insert into step_executions (run_id, step_id, created_at, updated_at) values ('run', 'a', 0, 0)",
  );
  expect(await workflowsOf(store)).toEqual({ steps: 1, others: 1 });
  await store.updateStepExecution("run", "a", { status: "COMPLETED" });
  expect(await workflowsOf(store)).toEqual({ steps: 1, others: 0 });
  await store.close();
});

test("migrate sets it in all rows of older versions, except steps without a run", async ({
  folder,
}) => {
  const store = await LibSQLStore.open(folder.database());
  await store.createRun(orders);
  await store.db.$client.migrate([
    `insert into step_executions (run_id, step_id, completed_at, created_at, updated_at)
     with recursive n (i) as (select 0 union all select i + 1 from n where i < 2499)
     select 'run', 'step-' || i, i, 0, 0 from n`,
    "insert into step_executions (run_id, step_id, completed_at, created_at, updated_at) values ('gone', 'a', 1, 0, 0)",
  ]);
  expect(await migrate(store.db)).toEqual({ applied: [] });
  const { rows } = await store.db.$client.execute(
    "select run_id from step_executions where workflow_id is not 'orders'",
  );
  expect(rows.map((row) => row["run_id"])).toEqual(["gone"]);
  await store.close();
});
