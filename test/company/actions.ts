import { eq, sql } from "drizzle-orm";
import fc from "fast-check";
import type { Value } from "@libsql/client";
import { isLocalClient } from "../../src/client/local-client.ts";
import { workflowRuns } from "../../src/schema/tables.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { attempt, sequences, type Memory, type Operation } from "../equivalence/operations.ts";
import { auditEntries, orders } from "./app.ts";
import { check, codeOf, insertedRun, same, type Action, type Company } from "./company.ts";

const runId = fc.constantFrom("r1", "r2", "r3", "é漢🎉");

const operations = sequences.map((sequence) => sequence.slice(0, 4));
/** For a store without transactions. */
const plainOperations = operations.map((list) =>
  list.filter(({ words }) => !words.startsWith("transaction(")),
);

/** Some operations of the store, one after the other or all at once. */
const operationsOf = (lists: typeof operations): fc.Arbitrary<Action> =>
  lists.map((list) => ({
    words: list.map(({ words }) => words).join("\n"),
    run: async (company) => {
      for (const operation of list) {
        // A transaction of the store that the app interrupts ends differently from the model's.
        const isRefused = company.refusing.size > 0 || company.pins.size > 0;
        if (isRefused && operation.words.startsWith("transaction(")) continue;
        // A run that the app keeps stays, which the model's report does not know.
        const keepsRuns = company.pins.size > 0 || company.refusing.has("app_deletion");
        if (keepsRuns && operation.words.includes("pruneRuns")) continue;
        await company.both(operation);
      }
    },
  }));

/**
 * Writes of the store that are issued at once, between two of the app's: they take effect in that order. A batch whose
 * precondition does not hold is tried once more behind the others, so there is one and it comes last.
 */
const together: fc.Arbitrary<Action> = sequences
  .map((list) => {
    // A write of a step answers with its input, which may come from an output that is written later. `deleteRuns` is
    // several requests.
    const writes = list.filter(({ words }) =>
      /^(?:createRun|updateRun|save|delete(?!Runs))/.test(words),
    );
    return writes.concat(list.filter(({ words }) => words.startsWith("batch")).slice(0, 1));
  })
  .map((list) => ({
    words: `together:\n${list.map(({ words }) => words).join("\n")}`,
    run: async (company) => {
      const { client } = company;
      const audit = () => client.execute("insert into audit(what) values ('beside')");
      const [, outcomes] = await Promise.all([
        audit(),
        Promise.all(list.map((each) => company.onStore(each))),
        audit(),
      ]);
      for (const [index, operation] of list.entries()) {
        await company.onModel(operation, outcomes[index]);
      }
    },
  }));

const typedSelect = fc
  .tuple(runId, fc.constantFrom("all", "get", "query"))
  .map(([id, way]): Action => ({
    words: `typed select (${way}) of ${id}`,
    run: async ({ db, memory }) => {
      const query = db.select().from(workflowRuns).where(eq(workflowRuns.runId, id));
      const found =
        way === "all"
          ? (await query)[0]
          : way === "get"
            ? await query.get()
            : await db.query.workflowRuns.findFirst({
                where: eq(workflowRuns.runId, id),
                with: { steps: true },
              });
      const expected = (await attempt(() => memory.getRun(id))) as { answer?: { input: unknown } };
      check((found === undefined) === (expected.answer === undefined), `select of ${id}: presence`);
      check(
        JSON.stringify(found?.input) === JSON.stringify(expected.answer?.input),
        `select of ${id}: input`,
      );
    },
  }));

/** The very texts that the store sends, with other arguments; writes in a transaction that is rolled back. */
const sameTexts = fc
  .tuple(fc.nat(), fc.constantFrom("r1", "r2", "s1", null, 0, 5))
  .map(([choice, other]): Action => ({
    words: `a text of the store, number ${choice}, with ${String(other)}`,
    run: async ({ client, texts }) => {
      const entry = [...texts][choice % Math.max(texts.size, 1)];
      if (entry === undefined) return;
      const [text, args] = entry;
      const changed: Value[] = args.map((arg) => (typeof arg === "string" ? other : arg));
      if (/^select/i.test(text)) {
        await client.execute({ sql: text, args: changed }).catch(() => {});
        // Fewer arguments than parameters.
        await client.execute({ sql: text, args: changed.slice(0, -1) }).catch(() => {});
        return;
      }
      const transaction = await client.transaction("write");
      try {
        await transaction.execute({ sql: text, args: changed }).catch(() => {});
        await transaction.execute({ sql: text, args: changed.slice(1) }).catch(() => {});
        await transaction.rollback();
      } finally {
        transaction.close();
      }
    },
  }));

const newOrder = fc
  .tuple(runId, fc.constantFrom("drizzle", "execute", "batch", "last id"))
  .map(([id, way]): Action => ({
    words: `insert an order of ${id} by ${way}`,
    run: async (company) => {
      const { client, db, orders: model } = company;
      const orderId = company.nextOrder();
      const present = await company.hasRun(id);
      const text = {
        sql: "insert into orders (order_id, run_id, note) values (?, ?, ?)",
        args: [orderId, id, way],
      };
      const insert = async () => {
        if (way === "drizzle") await db.insert(orders).values({ orderId, runId: id, note: way });
        else if (way === "execute") {
          const { rowsAffected } = await client.execute(text);
          check(rowsAffected === 1, "rowsAffected of an insert");
        } else if (way === "batch") {
          const [, read] = await client.batch(
            [text, { sql: "select count(*) from orders where order_id = ?", args: [orderId] }],
            "write",
          );
          check(Number(read?.rows[0]?.[0]) === 1, "a batch reads its own insert");
        } else {
          const [, read] = await client.batch(
            [text, "select last_insert_rowid(), changes()"],
            "write",
          );
          check(Number(read?.rows[0]?.[0]) === orderId, "last_insert_rowid");
          check(Number(read?.rows[0]?.[1]) === 1, "changes");
        }
      };
      const outcome = await attempt(insert);
      check(
        present === !(outcome as { error?: unknown }).error,
        `order of ${id}: ${JSON.stringify(outcome)}`,
      );
      if (present) model.set(orderId, { runId: id, note: way });
    },
  }));

const otherRows = fc
  .tuple(runId, fc.constantFrom("note", "pin", "unpin", "update"))
  .map(([id, what]): Action => ({
    words: `${what} ${id}`,
    run: async (company) => {
      const { client, notes, pins, orders: model } = company;
      const present = await company.hasRun(id);
      if (what === "note" && present) {
        const noteId = company.nextOrder();
        await client.execute({ sql: "insert into notes values (?, ?)", args: [noteId, id] });
        notes.set(noteId, id);
      } else if (what === "pin" && present && !pins.has(id)) {
        await client.execute({ sql: "insert into pins values (?)", args: [id] });
        pins.add(id);
      } else if (what === "unpin") {
        await client.execute({ sql: "delete from pins where run_id = ?", args: [id] });
        pins.delete(id);
      } else if (what === "update") {
        await client.execute({
          sql: "update orders set note = 'changed' where run_id = ?",
          args: [id],
        });
        for (const order of model.values()) if (order.runId === id) order.note = "changed";
      }
    },
  }));

const refusals: Readonly<Record<string, (name: string, action: string) => string>> = {
  one_active: (name) =>
    `create unique index ${name} on workflow_runs(resource_id) where status in ('PENDING','RUNNING')`,
  resource: (name, action) =>
    `create trigger ${name} before insert on workflow_runs when new.workflow_id = 'w2' begin ${action}; end`,
  progress: (name, action) =>
    `create trigger ${name} before update on workflow_runs when new.progress = 0.25 begin ${action}; end`,
  output: (name, action) =>
    `create trigger ${name} before insert on step_outputs when new.step_id = 's3' begin ${action}; end`,
  state: (name, action) =>
    `create trigger ${name} before insert on workflow_state when new.key = 'k2' begin ${action}; end`,
  deletion: (name, action) =>
    `create trigger ${name} before delete on workflow_runs when old.workflow_id = 'w2' begin ${action}; end`,
};

const triggerActions = [
  "select raise(abort, 'no')",
  "select raise(ignore)",
  "insert into audit(what) values ('left out'); select raise(ignore)",
  "select raise(fail, 'no')",
];

const refusalBy = (actions: readonly string[]): fc.Arbitrary<Action> =>
  fc
    .tuple(fc.constantFrom(...Object.keys(refusals)), fc.constantFrom(...actions), fc.boolean())
    .map(([kind, action, drops]): Action => ({
      words: `${drops ? "drop" : "create"} the refusal of ${kind} by ${action}`,
      run: async ({ client, refusing }) => {
        const name = `app_${kind}`;
        if (refusing.has(name)) {
          if (!drops) return;
          await client.execute(`drop ${kind === "one_active" ? "index" : "trigger"} ${name}`);
          refusing.delete(name);
        } else if (!drops) {
          const made = await attempt(() => client.execute(refusals[kind]?.(name, action) ?? ""));
          // A unique index cannot be made over rows that break it.
          if (codeOf(made) === undefined) refusing.add(name);
        }
      },
    }));

const refusal = refusalBy([...triggerActions, "select raise(rollback, 'no')"]);

/** What leaves no trace in the tables that are compared. */
const harmless: Readonly<Record<string, (company: Company) => Promise<unknown>>> = {
  "an audit trigger": ({ client }) =>
    client.execute(
      "create trigger if not exists app_audit after update on workflow_runs begin insert into audit(what) values ('update'); end",
    ),
  "an index": ({ client }) =>
    client.execute("create index if not exists app_progress on workflow_runs(progress, run_id)"),
  "no index": ({ client }) => client.execute("drop index if exists app_progress"),
  "a column of the app": ({ client }) =>
    client.execute("alter table orders add column extra text").catch(() => {}),
  "a column beside ours": ({ client }) =>
    client.execute("alter table workflow_runs add column app_owner text").catch(() => {}),
  "no column beside ours": ({ client }) =>
    client.execute("alter table workflow_runs drop column app_owner").catch(() => {}),
  "a temporary table": async ({ client }) => {
    // A server refuses them.
    if (client.protocol !== "file") return;
    const results = await client.batch(
      [
        "create temp table if not exists scratch (x)",
        "insert into scratch values (1)",
        "select count(*) from scratch",
        "drop table scratch",
      ],
      "write",
    );
    check(Number(results[2]?.rows[0]?.[0]) === 1, "a temporary table keeps its row");
  },
  "an attached database": async ({ client }) => {
    if (client.protocol !== "file") return;
    await client.executeMultiple(
      "attach ':memory:' as beside; create table beside.t (x); insert into beside.t values (1); detach beside;",
    );
  },
  "foreign keys off and a failing script": async ({ client }) => {
    // On the upstream client they stay off, as its interface says.
    if (!isLocalClient(client)) return;
    await client
      .executeMultiple(
        "pragma foreign_keys = off; insert into missing values (1); pragma foreign_keys = on;",
      )
      .catch(() => {});
  },
  "a script that fails inside its transaction": ({ client }) =>
    client
      .executeMultiple(
        "begin; insert into audit(what) values ('half'); insert into missing values (1); commit;",
      )
      .catch(() => {}),
  pragmas: async ({ client }) => {
    await client.execute("pragma table_info(workflow_runs)");
    await client.execute("pragma user_version");
  },
  "a failing batch": ({ client }) =>
    client
      .batch(
        ["delete from orders", "delete from workflow_runs", "insert into missing values (1)"],
        "write",
      )
      .catch(() => {}),
  "an abandoned transaction": async ({ client }) => {
    const transaction = await client.transaction("write");
    await transaction.execute("delete from workflow_runs").catch(() => {});
    transaction.close();
  },
  "a rolled back Drizzle transaction": ({ db }) =>
    attempt(() =>
      db.transaction(async (tx) => {
        await tx.delete(orders);
        tx.rollback();
      }),
    ),
  "a trigger that writes to our tables": ({ client }) =>
    client.execute(
      "create trigger if not exists app_touch after insert on step_outputs begin update workflow_runs set resource_id = resource_id where run_id <> new.run_id; end",
    ),
  "a view that is built again": async ({ client }) => {
    for (const columns of ["run_id, status", "status", "status as run_id, workflow_id as status"]) {
      const view = [
        "drop view if exists app_view",
        `create view app_view as select ${columns} from workflow_runs`,
      ];
      await client.batch(view, "write");
      const { columns: found, rows } = await client.execute("select * from app_view");
      // D1 does not name the columns of an empty result.
      if (client.protocol !== "file" && rows.length === 0) continue;
      check(
        found.join() === columns.replaceAll(/\w+ as /g, "").replaceAll(", ", ","),
        `columns of the view: ${found.join()}`,
      );
    }
  },
  "an aggregate over our tables": ({ db }) =>
    db.run(sql`select count(*), max(updated_at) from ${workflowRuns}`),
};

function besideOf(names: readonly string[]): fc.Arbitrary<Action> {
  return fc.constantFrom(...names).map((name) => ({
    words: name,
    run: async (company) => {
      await harmless[name]?.(company);
    },
  }));
}

/** The app holds the write lock while operations of the store are issued. */
const openTransaction = fc
  .tuple(operations, fc.boolean(), runId)
  .map(([list, commits, id]): Action => ({
    words: `in an open transaction that ${commits ? "commits" : "ends"}: ${list[0]?.words ?? ""}`,
    run: async (company) => {
      const operation = list[0];
      if (operation === undefined || company.refusing.size > 0 || company.pins.size > 0) return;
      const orderId = company.nextOrder();
      const present = await company.hasRun(id);
      const transaction = await company.client.transaction("write");
      let pending: Promise<unknown>;
      try {
        const inserted = await attempt(() =>
          transaction.execute({
            sql: "insert into orders (order_id, run_id, note) values (?, ?, 'open')",
            args: [orderId, id],
          }),
        );
        check(present === !(inserted as { error?: unknown }).error, "an insert in a transaction");
        pending = company.both(operation);
        pending.catch(() => {});
        await new Promise((resolve) => setImmediate(resolve));
        if (commits) await transaction.commit();
      } finally {
        transaction.close();
      }
      await pending;
      const isThere = commits && present && (await company.hasRun(id));
      if (isThere && !company.orders.has(orderId)) {
        // The operation may have deleted the run, and have created it again.
        const rows = await company.readOrders();
        const row = rows.get(orderId);
        check(
          row !== undefined || /deleteRun|pruneRuns/.test(operation.words),
          "a committed order",
        );
        if (row !== undefined) company.orders.set(orderId, row);
      }
    },
  }));

/** The store inside the app's own transaction. */
const hostTransaction = fc
  .tuple(operations, fc.boolean(), runId)
  .map(([list, commits, id]): Action => ({
    words: `app transaction that ${commits ? "commits" : "rolls back"}: ${list.map(({ words }) => words).join("; ")}`,
    run: async (company) => {
      if (company.refusing.size > 0 || company.pins.size > 0) return;
      const { db, store, memory } = company;
      const orderId = company.nextOrder();
      const outside = list.filter(({ words }) => !words.startsWith("transaction("));
      const onStore: unknown[] = [];
      const onMemory: unknown[] = [];
      const cursors: [Memory, Memory] = [
        { cursor: null, prevCursor: null, bundleCursor: null },
        { cursor: null, prevCursor: null, bundleCursor: null },
      ];
      const note = `(select run_id from workflow_runs where run_id = '${id}')`;
      await attempt(() =>
        db.transaction(async (tx) => {
          const inner = store.withTransaction(tx);
          await tx.run(
            sql.raw(
              `insert into orders (order_id, run_id, note) select ${orderId}, ${note}, 'host'`,
            ),
          );
          for (const each of outside)
            onStore.push(await attempt(() => each.run(inner, cursors[0])));
          if (!commits) tx.rollback();
        }),
      );
      const present = await company.hasRun(id);
      await attempt(() =>
        memory.transaction(async (tx) => {
          for (const each of outside) onMemory.push(await attempt(() => each.run(tx, cursors[1])));
          if (!commits) throw new Error("rolled back");
        }),
      );
      same(onStore, onMemory, "the answers in a transaction");
      if (commits) company.orders.set(orderId, { runId: present ? id : null, note: "host" });
      await company.followDeletions(`app transaction ${list.map(({ words }) => words).join()}`);
    },
  }));

/** A worker that claims, is late, and comes again under its own id: only the last claim may write. */
const claims = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.boolean())
  .map(([limit, expires, batches]): Action => ({
    words: `claims of ${limit}, ${expires ? "expired" : "live"}, then writes ${batches ? "in batches" : "alone"}`,
    run: async (company) => {
      if (company.refusing.size > 0 || company.pins.size > 0) return;
      const claim: Operation = {
        words: "claimRuns",
        advanceMs: expires ? 2000 : 1,
        run: (store) => store.claimRuns({ workerId: "a", leaseMs: 1000, limit }),
      };
      await company.both(claim);
      await company.both(claim);
      for (const id of await company.runIds()) {
        const { attempt: last } = await company.memory.getRun(id);
        for (const claimed of [last - 1, last]) {
          if (claimed < 0) continue;
          const fence = { workerId: "a", attempt: claimed };
          await company.both({
            words: `a write of ${id} by attempt ${claimed} of ${last}`,
            advanceMs: 1,
            run: (store) =>
              batches
                ? store.batch((writer) => writer.saveState(id, "k1", claimed), {
                    fence: { runId: id, ...fence },
                  })
                : store.saveState(id, "k1", claimed, fence),
          });
          const lease = { runId: id, ...fence };
          await company.both({
            words: `extendLease of ${id} by attempt ${claimed} of ${last}`,
            advanceMs: 1,
            run: (store) => store.extendLease({ ...lease, leaseMs: 500 }),
          });
        }
      }
    },
  }));

/** Builders of the store in the app's own batch, each with its guard: all of it takes place, or nothing. */
const builders = fc
  .tuple(runId, fc.constantFrom("run", "step", "state", "progress", "output"), fc.boolean())
  .map(([id, what, isGuarded]): Action => ({
    words: `db.batch with the store's ${what} of ${id}${isGuarded ? "" : ", unguarded"}`,
    run: async (company) => {
      if (company.refusing.size > 0 || company.pins.size > 0) return;
      const { db, client, store, memory, clock } = company;
      const at = clock.now();
      const run = { runId: id, workflowId: "w1", createdAt: at, updatedAt: at };
      const { statements } = store;
      const [builder, operation] = {
        run: () => [statements.createRun(run), () => memory.createRun(run)] as const,
        step: () =>
          [
            statements.createStepExecution({ runId: id, stepId: "s2" }),
            () => memory.createStepExecution({ runId: id, stepId: "s2" }),
          ] as const,
        state: () =>
          [
            statements.saveState(id, "k2", { by: "batch" }),
            () => memory.saveState(id, "k2", { by: "batch" }),
          ] as const,
        progress: () =>
          [
            statements.updateRun(id, { progress: 0.5 }),
            () => memory.updateRun(id, { progress: 0.5 }),
          ] as const,
        output: () =>
          [
            statements.saveStepOutput(id, "s1", [id]),
            () => memory.saveStepOutput(id, "s1", [id]),
          ] as const,
      }[what]();
      const audited = db.insert(auditEntries).values({ what: "batch" });
      const count = async () =>
        Number((await client.execute("select count(*) from audit")).rows[0]?.[0]);
      const before = await count();
      const onStore = await attempt(() =>
        isGuarded
          ? db.batch([audited, builder, statements.guard()] as never)
          : db.batch([audited, builder] as never),
      );
      const onMemory = await attempt(operation);
      const isRefused = isGuarded && (onMemory as { error?: unknown }).error !== undefined;
      const failed = (onStore as { error?: unknown }).error !== undefined;
      check(failed === isRefused, `the batch: ${JSON.stringify([onStore, onMemory])}`);
      // The progress of another update may be audited by a trigger.
      check(failed ? (await count()) === before : (await count()) > before, "the app's own row");
    },
  }));

/** The app waits for reads of its own store while its transaction is open. */
const readsBesideTransaction = fc.tuple(runId, fc.boolean()).map(([id, commits]): Action => ({
  words: `reads of ${id} while a transaction is open that ${commits ? "commits" : "ends"}`,
  run: async (company) => {
    const { client, store, memory, refusing, pins, clock, url } = company;
    // A database in memory has one connection, and so has a file of @libsql/client.
    if (url === null || (client.protocol === "file" && !isLocalClient(client))) return;
    if (refusing.size > 0 || pins.size > 0) return;
    const present = await company.hasRun(id);
    const at = clock.now();
    const transaction = await client.transaction("write");
    try {
      if (!present) {
        await transaction.execute({
          sql: "insert into workflow_runs (run_id, workflow_id, input, created_at, updated_at) values (?, 'w1', ?, ?, ?)",
          args: [id, JSON.stringify({ by: "sql" }), at.getTime(), at.getTime()],
        });
      }
      const read = (of: WorkflowStore) => attempt(() => of.getRun(id));
      same(await read(store), await read(memory), "a read beside an open transaction");
      same(await store.listRuns(), await memory.listRuns(), "a list beside an open transaction");
      if (commits) await transaction.commit();
    } finally {
      transaction.close();
    }
    if (commits && !present) await memory.createRun(insertedRun(id, at));
  },
}));

const neighbours = fc
  .tuple(runId, fc.constantFrom("insert", "delete", "tags", "order", "index"))
  .map(([id, what]): Action => ({
    words: `another process: ${what} ${id}`,
    run: async (company) => {
      const { neighbour, url, memory, clock, refusing, pins } = company;
      if (neighbour === null || url === null) return;
      const present = await company.hasRun(id);
      const at = clock.now();
      if (what === "insert" && !present && refusing.size === 0) {
        await neighbour.run(url, [
          {
            sql: "insert into workflow_runs (run_id, workflow_id, input, created_at, updated_at) values (?, 'w1', ?, ?, ?)",
            args: [id, JSON.stringify({ by: "sql" }), at.getTime(), at.getTime()],
          },
        ]);
        await memory.createRun(insertedRun(id, at));
      } else if (what === "delete" && !pins.has(id) && !refusing.has("app_deletion")) {
        await neighbour.run(url, [
          { sql: "delete from workflow_runs where run_id = ?", args: [id] },
        ]);
        await memory.deleteRun(id);
        await company.followDeletions("delete");
      } else if (what === "tags" && present && refusing.size === 0) {
        const updated = await attempt(() => memory.updateRun(id, { tags: { by: "neighbour" } }));
        if (codeOf(updated) !== undefined) return;
        await neighbour.run(url, [
          {
            sql: "update workflow_runs set tags = ?, revision = revision + 1, updated_at = ? where run_id = ?",
            args: [JSON.stringify({ by: "neighbour" }), at.getTime(), id],
          },
        ]);
      } else if (what === "order" && present) {
        const orderId = company.nextOrder();
        await neighbour.run(url, [
          {
            sql: "insert into orders (order_id, run_id, note) values (?, ?, 'far')",
            args: [orderId, id],
          },
        ]);
        company.orders.set(orderId, { runId: id, note: "far" });
      } else if (what === "index") {
        await neighbour.run(url, [
          "create index if not exists app_far on workflow_runs(updated_at)",
          "drop index app_far",
        ]);
      }
    },
  }));

/** What an app can do on any driver. */
const common: fc.MaybeWeightedArbitrary<Action>[] = [
  { weight: 2, arbitrary: together },
  { weight: 3, arbitrary: typedSelect },
  { weight: 3, arbitrary: newOrder },
  { weight: 2, arbitrary: otherRows },
  { weight: 2, arbitrary: claims },
  { weight: 2, arbitrary: builders },
];

const first: Action = {
  words: "createRun r1 and r2",
  run: async (company) => {
    const create = (id: string, workflowId: string): Operation => ({
      words: `createRun ${id}`,
      advanceMs: 1,
      run: (store) => store.createRun({ runId: id, workflowId, input: id }),
    });
    await company.both(create("r1", "w1"));
    await company.both(create("r2", "w2"));
  },
};

function historiesOf(...actions: fc.MaybeWeightedArbitrary<Action>[]): fc.Arbitrary<Action[]> {
  return fc
    .array(fc.oneof(...common, ...actions), { minLength: 3, maxLength: 16 })
    .map((list) => [first].concat(list));
}

export const histories = historiesOf(
  { weight: 8, arbitrary: operationsOf(operations) },
  { weight: 2, arbitrary: refusal },
  { weight: 3, arbitrary: sameTexts },
  { weight: 4, arbitrary: besideOf(Object.keys(harmless)) },
  { weight: 1, arbitrary: openTransaction },
  { weight: 1, arbitrary: hostTransaction },
  { weight: 1, arbitrary: neighbours },
  { weight: 1, arbitrary: readsBesideTransaction },
);

/** Beside a synchronous driver, whose one connection the app and the store share. */
export const historiesOfSyncDriver = historiesOf(
  { weight: 8, arbitrary: operationsOf(operations) },
  { weight: 2, arbitrary: refusal },
  {
    weight: 4,
    // Its transactions are not asynchronous, and `run` is not for queries.
    arbitrary: besideOf(
      Object.keys(harmless).filter(
        (name) => !/^(?:a rolled back Drizzle transaction|an aggregate)/.test(name),
      ),
    ),
  },
  { weight: 2, arbitrary: openTransaction },
  { weight: 1, arbitrary: neighbours },
);

/** Beside D1, which has batches and no transactions. */
export const historiesOfD1 = historiesOf(
  { weight: 8, arbitrary: operationsOf(plainOperations) },
  // D1 itself fails if a trigger rolls its transaction back.
  { weight: 2, arbitrary: refusalBy(triggerActions) },
  {
    weight: 4,
    arbitrary: besideOf([
      "an audit trigger",
      "an index",
      "no index",
      "a column of the app",
      "a column beside ours",
      "no column beside ours",
      "a failing batch",
      "a trigger that writes to our tables",
      "a view that is built again",
      "an aggregate over our tables",
    ]),
  },
);
