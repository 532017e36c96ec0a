import { sql } from "drizzle-orm";
import { fileURLToPath } from "node:url";
import { describe, expect, vi } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import {
  applyRetention,
  scheduleRetention,
  type RetentionReport,
} from "../../src/retention/index.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { MaintenanceStore } from "../../src/store/maintenance.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { bulkBeginning, makeBulkRuns } from "../support/bulk-runs.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { test } from "../support/fixtures.ts";
import type { Sqld } from "../support/sqld.ts";
import type { TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
let server: Sqld;
test.beforeAll(({ sharedFolder, server: own }) => {
  folder = sharedFolder;
  server = own;
});

async function createOld(store: WorkflowStore, runIds: readonly string[], workflowId = "w") {
  const writes = runIds.map((runId, n) => {
    const at = new Date(1000 + n);
    return store.createRun({
      runId,
      workflowId,
      status: "COMPLETED",
      createdAt: at,
      completedAt: at,
      updatedAt: at,
    });
  });
  await Promise.all(writes);
}

const idsOf = (count: number, prefix = "r"): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}-${String(n).padStart(4, "0")}`);

const stores: Readonly<Record<string, () => Promise<WorkflowStore>>> = {
  memory: async () => new MemoryStore(),
  "a file": () => LibSQLStore.open(folder.database("kept.db")),
  "a server": () => LibSQLStore.open(server.httpUrl),
};

test("a prune beside a process that writes all the time deletes runs and frees space", async () => {
  const url = folder.database("busy.db");
  await makeBulkRuns(url, 3000);
  const program = await compileProgram(`${import.meta.dirname}/programs/busy-writer.ts`);
  const writer = startProgram(program, [fileURLToPath(url)]);
  await writer.message(() => true);
  const store = await LibSQLStore.open(url);
  const report = await store.pruneRuns({ olderThan: new Date(bulkBeginning + 1e9) });
  await writer.kill();
  expect(report).toMatchObject({ deletedRuns: 2970, refusedRuns: 0 });
  expect(report.freedBytes).toBeGreaterThan(0);
  await store.close();
}, 60_000);

describe.each(Object.entries(stores))("on %s", (_, open) => {
  test("keeps the newest runs of each workflow, including those created during the prune", async () => {
    const store = await open();
    await createOld(store, idsOf(30), "old");
    await createOld(store, idsOf(2, "few"), "few");
    let appeared = false;
    await store.pruneRuns({
      olderThan: new Date(2000),
      keepLast: 5,
      batchSize: 1,
      onProgress: () => {
        if (appeared) return;
        appeared = true;
        void createOld(store, idsOf(12, "new"), "new");
        // Older than the two that are there: three of them are among the newest five.
        void createOld(store, idsOf(9, "few-older"), "few");
        // One of those that were to stay goes by itself.
        void store.deleteRun("r-0029");
      },
    });
    const counts = await Promise.all(
      ["old", "new", "few"].map(
        async (workflowId) => (await store.countRuns({ workflowId })).COMPLETED,
      ),
    );
    expect(counts[0]).toBeGreaterThanOrEqual(4);
    expect(counts[1]).toBeGreaterThanOrEqual(5);
    expect(counts[2]).toBeGreaterThanOrEqual(5);
    await store.pruneRuns({ olderThan: new Date(0), statuses: ["COMPLETED"] });
    await store.close();
  });

  test("keeps the newest run that is left if the app deletes a newer one during the prune", async () => {
    const store = await open();
    await createOld(store, idsOf(3, "left"), "left");
    const deletions: Promise<unknown>[] = [];
    await store.pruneRuns({
      olderThan: new Date(2000),
      workflowId: "left",
      keepLast: 1,
      batchSize: 1,
      onProgress: () => {
        if (deletions.length === 0) deletions.push(store.deleteRun("left-0002"));
      },
    });
    await Promise.all(deletions);
    const { runs } = await store.listRuns({ workflowId: "left" });
    expect(runs.map(({ runId }) => runId)).toEqual(["left-0001"]);
    await store.close();
  });
});

test("pruning with keepLast takes time in proportion to the number of workflows", async () => {
  /** The CPU time of a prune that keeps the newest of two runs of each workflow, in ms. */
  async function timePrune(workflows: number): Promise<number> {
    const store = await LibSQLStore.open(folder.database(`${workflows}-workflows.db`));
    await store.db.run(
      sql.raw(`insert into workflow_runs
        (run_id, workflow_id, status, created_at, completed_at, updated_at)
        with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${workflows * 2})
        select 'r' || i, 'w' || (i / 2), 'COMPLETED', i, i, i from n`),
    );
    const before = process.cpuUsage();
    const policy = { olderThan: new Date(1e9), keepLast: 1, batchSize: 500 };
    expect((await store.pruneRuns(policy)).deletedRuns).toBe(workflows);
    const { user, system } = process.cpuUsage(before);
    await store.close();
    return (user + system) / 1000;
  }
  await timePrune(50);
  const few = await timePrune(200);
  // Quadratic time would be 25 times as much.
  expect(await timePrune(1000)).toBeLessThan(few * 12);
});

describe("an app's constraint that refuses the deletion of some runs", () => {
  test.each([
    ["a file", () => folder.database("restrict.db")],
    ["a server", () => server.httpUrl],
  ])("keeps those, and no others, on %s", async (_, url) => {
    const store = await LibSQLStore.open(url());
    await store.db.run(sql.raw("delete from workflow_runs"));
    await store.db.run(
      sql.raw(
        "create table invoices (run_id text references workflow_runs (run_id) on delete restrict)",
      ),
    );
    await createOld(store, idsOf(250));
    await store.db.run(sql.raw("insert into invoices values ('r-0003'), ('r-0140'), ('r-0141')"));
    const policy = { olderThan: new Date(1_000_000) };
    expect(await store.pruneRuns({ ...policy, dryRun: true })).toMatchObject({
      deletedRuns: 250,
      refusedRuns: 0,
    });
    const report = await store.pruneRuns(policy);
    expect(report).toMatchObject({ deletedRuns: 247, refusedRuns: 3, remainingRuns: 3 });
    expect(report.refused.map(({ runId, error }) => [runId, error.code, error.kind])).toEqual(
      ["r-0003", "r-0140", "r-0141"].map((runId) => [runId, "CONSTRAINT", "foreignKey"]),
    );
    const applied = await applyRetention(store, { rules: [{ maxAgeMs: 0 }] });
    expect(applied).toMatchObject({ deletedRuns: 0, refusedRuns: 3 });
    await store.db.run(sql.raw("drop table invoices"));
    expect(await store.pruneRuns(policy)).toMatchObject({ deletedRuns: 3, refusedRuns: 0 });
    await store.close();
  });

  test("a trigger that ignores the deletion keeps its runs, and they are not counted as deleted", async () => {
    const store = await LibSQLStore.open(folder.database("ignore.db"));
    await store.db.run(
      sql.raw(
        "create trigger legal_hold before delete on workflow_runs when old.run_id = 'r-0007' begin select raise(ignore); end",
      ),
    );
    await createOld(store, idsOf(20));
    await store.saveStepOutput("r-0007", "s", "x");
    const report = await store.pruneRuns({ olderThan: new Date(1_000_000) });
    expect(report).toMatchObject({
      deletedRuns: 19,
      deletedStepOutputs: 0,
      refusedRuns: 1,
      refused: [{ runId: "r-0007", error: { code: "CONSTRAINT", kind: "trigger" } }],
      remainingRuns: 1,
    });
    await store.close();
  });
});

test("a dry run counts every orphan, and the prune deletes as many", async () => {
  const url = folder.database("orphans.db");
  const store = await LibSQLStore.open(url);
  await store.pruneRuns({ olderThan: new Date(0) });
  await store.createRun({ runId: "gone", workflowId: "w" });
  await store.createRun({ runId: "here", workflowId: "w" });
  for (const runId of ["gone", "here"]) {
    await store.db.run(
      sql.raw(`insert into step_attempts (run_id, step_id, attempt, status)
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 7001)
        select '${runId}', 's', i, 'FAILED' from n`),
    );
  }
  const client = createClient(url);
  await client.migrate(["delete from workflow_runs where run_id = 'gone'"]);
  client.close();
  const policy = { olderThan: new Date(0) };
  expect((await store.pruneRuns({ ...policy, dryRun: true })).deletedOrphans).toBe(7001);
  expect((await store.pruneRuns(policy)).deletedOrphans).toBe(7001);
  expect((await store.pruneRuns(policy)).deletedOrphans).toBe(0);
  expect((await store.stats()).rows.stepAttempts).toBe(7001);
  await store.close();
});

test("an orphan that a foreign key of the app protects stays, and all others are deleted", async () => {
  const url = folder.database("protected-orphans.db");
  const store = await LibSQLStore.open(url);
  await store.db.run(
    sql.raw(`create table mine (run_id text, step_id text,
      foreign key (run_id, step_id) references step_outputs (run_id, step_id) on delete restrict)`),
  );
  for (const runId of ["a", "b", "c"]) {
    const completedAt = new Date(0);
    await store.createRun({ runId, workflowId: "w", status: "COMPLETED", completedAt });
    for (const stepId of ["s", "t"]) await store.saveStepOutput(runId, stepId, 1);
  }
  await store.db.run("insert into mine values ('b', 's')");
  const client = createClient(url);
  await client.migrate(["delete from workflow_runs where run_id <> 'c'"]);
  client.close();
  const policy = { olderThan: new Date() };
  expect(await store.pruneRuns(policy)).toMatchObject({ deletedRuns: 1, deletedOrphans: 3 });
  expect(await store.pruneRuns(policy)).toMatchObject({ deletedOrphans: 0 });
  expect((await store.stats()).rows).toMatchObject({ workflowRuns: 0, stepOutputs: 1 });
  await store.close();
});

test("a policy with a rule that cannot be applied deletes nothing", async () => {
  const store = new MemoryStore();
  await createOld(store, idsOf(3));
  for (const maxAgeMs of [Number.MAX_SAFE_INTEGER, 8.64e15]) {
    await expect(
      applyRetention(store, { rules: [{ maxAgeMs: 0 }, { maxAgeMs }] }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", argument: "policy.rules[1].maxAgeMs" });
  }
  const now = new Date(-8.64e15);
  await expect(
    applyRetention(store, { rules: [{ maxAgeMs: 0 }, { maxAgeMs: 1 }] }, { now }),
  ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect((await store.countRuns()).COMPLETED).toBe(3);
});

describe("a schedule", () => {
  const policy = { rules: [{ maxAgeMs: 0 }] };

  test.each([
    [
      "throw",
      () => {
        throw new Error("callback");
      },
    ],
    ["reject", () => Promise.reject(new Error("callback"))],
  ] as const)("goes on when its callbacks %s", async (_, fail) => {
    vi.useFakeTimers();
    const rejections: unknown[] = [];
    const note = (error: unknown) => rejections.push(error);
    process.on("unhandledRejection", note);
    try {
      const store = new MemoryStore();
      let applied = 0;
      const failing: MaintenanceStore = {
        stats: () => store.stats(),
        pruneRuns: (each) => {
          applied += 1;
          return applied === 2 ? Promise.reject(new Error("gone")) : store.pruneRuns(each);
        },
      };
      const errors: unknown[] = [];
      const reports: RetentionReport[] = [];
      const schedule = scheduleRetention(failing, policy, {
        everyMs: 1000,
        onReport: (report) => {
          reports.push(report);
          return fail();
        },
        onError: (error) => {
          errors.push(error);
          return fail();
        },
      });
      await vi.advanceTimersByTimeAsync(3500);
      await schedule.stop();
      expect([applied, reports.length]).toEqual([3, 2]);
      expect(errors.map((error) => (error as Error).message)).toEqual([
        "callback",
        "gone",
        "callback",
      ]);
      expect(rejections).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
      vi.useRealTimers();
    }
  });
});
