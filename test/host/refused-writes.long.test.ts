// An app's own indexes, triggers and foreign keys refuse writes. No such write is ever acknowledged.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sql } from "drizzle-orm";
import { ConstraintError } from "../../src/errors.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { openHostDatabase, placeNames, type HostDatabase } from "./support/host-databases.ts";

const run = { workflowId: "w" };

/** Each write of the contract that can be left out, on the run `r`, which has a step `s`, an output and a state. */
const writes: Record<string, { table: string; event: string; write: Write }> = {
  createRun: {
    table: "workflow_runs",
    event: "insert",
    write: (store) => store.createRun({ ...run, runId: "new" }),
  },
  "createRun without an id": {
    table: "workflow_runs",
    event: "insert",
    write: (store) => store.createRun(run),
  },
  "createRun with a key": {
    table: "workflow_runs",
    event: "insert",
    write: (store) => store.createRun({ ...run, idempotencyKey: "k" }),
  },
  updateRun: {
    table: "workflow_runs",
    event: "update",
    write: (store) => store.updateRun("r", { progress: 0.5 }),
  },
  deleteRun: {
    table: "workflow_runs",
    event: "delete",
    write: (store) => store.deleteRun("r"),
  },
  createStepExecution: {
    table: "step_executions",
    event: "insert",
    write: (store) => store.createStepExecution({ runId: "r", stepId: "new" }),
  },
  updateStepExecution: {
    table: "step_executions",
    event: "update",
    write: (store) => store.updateStepExecution("r", "s", { status: "COMPLETED" }),
  },
  saveStepAttempt: {
    table: "step_attempts",
    event: "insert",
    write: (store) =>
      store.saveStepAttempt({ runId: "r", stepId: "s", attempt: 1, status: "FAILED" }),
  },
  saveStepOutput: {
    table: "step_outputs",
    event: "insert",
    write: (store) => store.saveStepOutput("r", "new", 1),
  },
  "saveState of a new key": {
    table: "workflow_state",
    event: "insert",
    write: (store) => store.saveState("r", "new", 1),
  },
  "saveState that must not exist": {
    table: "workflow_state",
    event: "insert",
    write: (store) => store.saveState("r", "new", 1, { expectedRevision: 0 }),
  },
  "saveState over a revision": {
    table: "workflow_state",
    event: "update",
    write: (store) => store.saveState("r", "k", 2, { expectedRevision: 1 }),
  },
  deleteState: {
    table: "workflow_state",
    event: "delete",
    write: (store) => store.deleteState("r", "k"),
  },
};
const codeOf = (error: unknown) => (error as { code?: unknown }).code;

type Write = (store: WorkflowStore) => Promise<unknown>;

/** The operations that `batch` has as well. */
const inBatch =
  (write: Write): Write =>
  (store) =>
    store.batch((writer) => {
      writer.saveState("r", "beside", 1);
      void write(writer as unknown as WorkflowStore);
    });

describe.each(placeNames)("in %s", (place) => {
  let host: HostDatabase;
  let store: LibSQLStore<HostDatabase["db"]>;
  const raw = (text: string) => host.db.run(sql.raw(text));
  beforeEach(async () => {
    host = await openHostDatabase(place);
    store = new LibSQLStore(host.db);
    await store.createRun({ ...run, runId: "r" });
    await store.createStepExecution({ runId: "r", stepId: "s" });
    await store.saveStepOutput("r", "s", 1);
    await store.saveState("r", "k", 1);
  });
  afterEach(() => host.close());

  const ways: Record<string, (write: Write) => Promise<unknown>> = {
    alone: (write) => write(store),
    "beside others": async (write) => {
      const beside = [1, 2, 3].map((n) => store.createRun({ ...run, runId: `beside${n}` }));
      const refused = write(store);
      refused.catch(() => undefined);
      const after = store.createRun({ ...run, runId: "beside4" });
      const settled = Promise.allSettled([...beside, after]);
      // What is sent again alone, after the refusal of another, is not taken for a repetition.
      const taken = await store.createRun({ ...run, runId: "r" }).catch(codeOf);
      expect(["RUN_ALREADY_EXISTS", "CONSTRAINT"]).toContain(taken);
      for (const outcome of await settled) {
        if (outcome.status === "fulfilled") await store.getRun(outcome.value.runId);
        else expect(outcome.reason).toBeInstanceOf(ConstraintError);
      }
      return refused;
    },
    "in a batch": (write) => inBatch(write)(store),
    "in a transaction": (write) => store.transaction(write),
    "in the app's transaction": (write) =>
      host.db.transaction((tx) => write(store.withTransaction(tx))),
    "in a batch in the app's transaction": (write) =>
      host.db.transaction((tx) => inBatch(write)(store.withTransaction(tx))),
  };

  test.each(Object.keys(writes))("%s is refused when a trigger leaves it out", async (name) => {
    const { table, event, write } = writes[name] as (typeof writes)[string];
    await raw(`create trigger silent before ${event} on ${table} begin select raise(ignore); end`);
    const content = async () => (await store.readBundles({ filter: {} })).bundles;
    const before = await content();
    for (const [way, through] of Object.entries(ways)) {
      const outcome = await through(write).catch((error: unknown) => error);
      expect(outcome, way).toMatchObject({ code: "CONSTRAINT", kind: "trigger", table });
    }
    await raw("drop trigger silent");
    for (const id of [1, 2, 3, 4]) await store.deleteRun(`beside${id}`);
    expect(await content()).toEqual(before);
  });

  test.each(["abort", "fail", "rollback"])(
    "a write that a trigger refuses by %s is not there, and its neighbours are",
    async (kind) => {
      await raw(
        `create trigger loud after insert on workflow_runs when new.resource_id = 'bad'
         begin select raise(${kind}, 'no'); end`,
      );
      const outcomes = await Promise.allSettled(
        ["a", "bad", "b", "bad", "c"].map((resourceId, index) =>
          store.createRun({ ...run, runId: `x${index}`, resourceId }),
        ),
      );
      expect(outcomes.map(({ status }) => status)).toEqual([
        "fulfilled",
        "rejected",
        "fulfilled",
        "rejected",
        "fulfilled",
      ]);
      expect(outcomes[1]).toMatchObject({ reason: { code: "CONSTRAINT", kind: "trigger" } });
      const { runs } = await store.listRuns();
      expect(runs.map(({ runId }) => runId).toSorted()).toEqual(["r", "x0", "x2", "x4"]);
    },
  );

  test("a unique index of the app is named, alone and in every company", async () => {
    await raw(
      "create unique index one_active on workflow_runs(resource_id) where status in ('PENDING', 'RUNNING')",
    );
    await store.createRun({ ...run, resourceId: "a", idempotencyKey: "first" });
    for (const [way, through] of Object.entries(ways)) {
      const outcome = await through((each) =>
        each.createRun({ ...run, resourceId: "a", idempotencyKey: "second" }),
      ).catch((error: unknown) => error);
      expect(outcome, way).toMatchObject({
        code: "CONSTRAINT",
        kind: "unique",
        table: "workflow_runs",
        columns: ["resource_id"],
        retryable: false,
        outcome: "none",
      });
      expect((outcome as Error).message).toMatch(/workflow_runs \(resource_id\)/);
    }
    // The idempotency key is asked first: the same creation again gives the run that is there.
    expect(
      await store.createRun({ ...run, resourceId: "a", idempotencyKey: "first" }),
    ).toMatchObject({ resourceId: "a" });
  });

  test("a check, NOT NULL and a trigger of the app on its own tables are named", async () => {
    await raw("create table audit (run_id text not null check (run_id <> 'checked'))");
    await raw(
      "create trigger audited after insert on workflow_runs begin insert into audit values (new.resource_id); end",
    );
    const create = (runId: string, resourceId: string | null) =>
      store.createRun({ ...run, runId, resourceId }).catch((error: unknown) => error);
    expect(await create("a", null)).toMatchObject({ kind: "notNull", table: "audit" });
    expect(await create("b", "checked")).toMatchObject({ kind: "check" });
    const batched = store.batch((write) => write.createRun({ ...run, runId: "c" }));
    await expect(batched).rejects.toMatchObject({ kind: "notNull", columns: ["run_id"] });
    expect((await store.listRuns()).runs).toHaveLength(1);
  });

  test("a trigger that uses a missing table or column is named, and a migration is not asked for", async () => {
    await raw("create table audit (run_id text)");
    for (const body of [
      "insert into gone values (new.run_id)",
      "insert into audit (gone) values (new.run_id)",
      "update audit set run_id = new.gone",
    ]) {
      await raw(`create trigger broken after insert on workflow_runs begin ${body}; end`);
      for (const [way, through] of Object.entries(ways).filter(
        ([name]) => name !== "beside others",
      )) {
        const error = await through((each) => each.createRun(run)).catch(
          (thrown: unknown) => thrown,
        );
        expect(error, `${body} ${way}`).toMatchObject({
          code: "STORE_CONNECTION",
          outcome: "none",
        });
        expect((error as Error).message).toMatch(/a trigger on the tables failed/);
      }
      await raw("drop trigger broken");
    }
    expect((await store.listRuns()).runs).toHaveLength(1);
  });

  test("bundles that the app refuses are neither skipped nor written", async () => {
    const { bundles } = await store.readBundles();
    const [bundle] = bundles;
    if (bundle === undefined) throw new TypeError("no bundle");
    const other = {
      ...bundle,
      run: { ...bundle.run, runId: "other" },
      steps: bundle.steps.map((each) => ({ ...each, runId: "other" })),
      outputs: bundle.outputs.map((each) => ({ ...each, runId: "other" })),
      state: bundle.state.map((each) => ({ ...each, runId: "other" })),
    };
    await raw("create table audit (run_id text not null)");
    for (const [table, body] of [
      ["workflow_runs", "insert into audit values (null)"],
      ["workflow_runs", "select raise(ignore)"],
      ["step_executions", "select raise(ignore)"],
      ["workflow_state", "select raise(ignore)"],
      ["step_outputs", "select raise(abort, 'NOT NULL constraint failed: audit.run_id')"],
    ] as const) {
      await raw(
        `create trigger refusal before insert on ${table} when new.run_id = 'other' begin ${body}; end`,
      );
      for (const onConflict of ["skip", "fail", "replace"] as const) {
        await expect(store.writeBundles([bundle, other], { onConflict })).rejects.toMatchObject({
          code: onConflict === "fail" ? "RUN_ALREADY_EXISTS" : "CONSTRAINT",
        });
        await expect(store.writeBundles([other], { onConflict })).rejects.toMatchObject({
          code: "CONSTRAINT",
        });
      }
      await raw("drop trigger refusal");
      expect((await store.listRuns()).runs).toHaveLength(1);
    }
    expect(await store.writeBundles([bundle, other], { onConflict: "skip" })).toEqual({
      written: 1,
      skipped: 1,
      replaced: 0,
    });
  });

  test.each(["cascade", "set null", "restrict"])(
    "replacing a bundle keeps the app's rows that refer to it with on delete %s",
    async (action) => {
      await raw(
        `create table pins (
           id integer primary key,
           run_id text references workflow_runs (run_id) on delete ${action},
           step_id text,
           foreign key (run_id, step_id) references step_executions (run_id, step_id) on delete ${action}
         )`,
      );
      await raw("insert into pins values (1, 'r', 's')");
      const { bundles } = await store.readBundles();
      await store.saveState("r", "k", 2);
      await store.saveState("r", "later", 2);
      await store.saveStepAttempt({ runId: "r", stepId: "s", attempt: 1, status: "FAILED" });
      await store.updateRun("r", { status: "COMPLETED" });
      expect(await store.writeBundles(bundles, { onConflict: "replace" })).toMatchObject({
        replaced: 1,
      });
      expect((await store.readBundles()).bundles).toEqual(bundles);
      const pins = await host.db.all<Record<string, unknown>>(
        sql.raw("select id, run_id as run, step_id as step from pins"),
      );
      expect(pins.map(({ id, run: runId, step }) => [id, runId, step])).toEqual([[1, "r", "s"]]);
    },
  );
});
