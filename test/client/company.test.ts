import { drizzle } from "drizzle-orm/libsql";
import { sql } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { NativeConnection } from "../../src/client/native-connection.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
let client: LocalClient;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

const values = async (of: Pick<LocalClient, "execute">, text: string) =>
  (await of.execute(text)).rows.flatMap((row) => Object.values(row));

test("a transaction can wait for a read that was issued before it began", async () => {
  client = createClient({ url: folder.database(), busyTimeoutMs: 500 });
  await client.execute("create table t (a)");
  void client.execute("insert into t values (1)");
  const opening = client.transaction("write");
  await Promise.resolve();
  const counted = values(client, "select count(*) from t");
  const transaction = await opening;
  expect(await counted).toEqual([1]);
  await transaction.execute("insert into t values (2)");
  await transaction.commit();
  expect(await values(client, "select count(*) from t")).toEqual([2]);
});

test.each([
  ["a column called temp", "create table readings (temp)", "select temp from readings"],
  ["a table called changes", "create table changes (id)", "select count(*) from changes"],
  ["a column called attach", "create table files (attach)", "select attach from files"],
])("reads of %s do not wait for an open transaction", async (_, create, query) => {
  client = createClient({ url: folder.database(), busyTimeoutMs: 100 });
  await client.execute(create);
  await client.executeMultiple(create.replace("table", "table if not exists"));
  const transaction = await client.transaction("write");
  await client.execute(query);
  await client.execute("select count(*) from sqlite_schema");
  transaction.close();
});

test("a client releases the lock of a script in exclusive locking mode", async () => {
  client = createClient(folder.database());
  await client.execute("create table t (a)");
  await client.executeMultiple("pragma locking_mode = exclusive; insert into t (a) values (1)");
  const other = createClient(folder.database());
  expect(await values(client, "select count(*) from t")).toEqual([1]);
  expect(await values(other, "select count(*) from t")).toEqual([1]);
  other.close();
});

test("a client runs statements with long texts, comments and names", async () => {
  client = createClient(":memory:");
  await client.execute("create table t (a)");
  const long = "it''s ".repeat(2_000_000);
  const length = long.length - 2_000_000;
  const blanks = " ".repeat(10_000_000);
  await client.executeMultiple(
    `/* ${long} */ insert into t (a) values ('${long}');${blanks}insert into t (a) values ('b')`,
  );
  expect(await values(client, `/* ${long} */ select length(a) from t`)).toEqual([length, 1]);
  expect(await values(client, `${blanks}select length('${long}')`)).toEqual([length]);
});

describe.each(["file", "memory"])("a client of a %s database", (kind) => {
  beforeEach(async () => {
    client = createClient(kind === "file" ? folder.database() : ":memory:");
    await client.execute("create table t (id integer primary key, a)");
  });

  test("reads what it was given to write before, awaited or not", async () => {
    void client.execute("insert into t (a) values (1)");
    expect(await values(client, "select count(*) from t")).toEqual([1]);
    void client.batch(["insert into t (a) values (2)", "insert into t (a) values (3)"], "write");
    const [counted] = await client.batch(["select count(*) as n from t"], "read");
    expect(counted?.rows).toEqual([{ n: 3 }]);
    void client.executeMultiple("insert into t (a) values (4)");
    expect(await values(client, "with x as (select 1) select count(*) from t")).toEqual([4]);
    const before = values(client, "select count(*) from t");
    void client.execute("delete from t");
    expect(await before).toEqual([4]);
    expect(await values(client, "select count(*) from t")).toEqual([0]);
    void client.execute("insert into t (a) values (5)");
    const reading = await client.transaction("read");
    expect(await values(reading, "select count(*) from t")).toEqual([1]);
    reading.close();
  });

  test("reads what belongs to the connection that wrote", async () => {
    await client.execute("insert into t (a) values (1), (2)");
    expect(await values(client, "select last_insert_rowid(), changes()")).toEqual([2, 2]);
    await client.execute("create temp table scratch (x)");
    await client.execute("insert into scratch values (7)");
    expect(await values(client, "select x from scratch")).toEqual([7]);
    expect(await values(client, "select name from sqlite_temp_master")).toEqual(["scratch"]);
    const [batch] = await client.batch(["select x from scratch"], "read");
    expect(batch?.rows).toEqual([{ x: 7 }]);
    await client.execute("attach ':memory:' as other");
    await client.execute("create table other.u (y)");
    await client.execute("insert into other.u values (8)");
    expect(await values(client, "select y from u")).toEqual([8]);
  });

  test("works while a test has replaced the timers", async () => {
    vi.useFakeTimers();
    try {
      await client.execute("insert into t (a) values (1)");
      await client.batch(["insert into t (a) values (2)"], "write");
      await client.executeMultiple("insert into t (a) values (3)");
      expect(await values(client, "select a from t")).toEqual([1, 2, 3]);
    } finally {
      vi.useRealTimers();
    }
  });

  test("gives a script nothing that outlives it", async () => {
    await client.executeMultiple(
      "create table child (id references t (id)); insert into t (id) values (1)",
    );
    const scripts = [
      "pragma foreign_keys = off; insert into nothing values (1); pragma foreign_keys = on",
      "pragma foreign_keys = off",
      "pragma ignore_check_constraints = on; begin; insert into child values (1); selec",
      "pragma query_only = on",
      "pragma locking_mode = exclusive; insert into t (a) values (5)",
    ];
    for (const script of scripts) {
      await client.executeMultiple(script).catch(() => undefined);
      await client.execute(script.split(";")[0] ?? "").catch(() => undefined);
      await expect(client.execute("insert into child values (99)")).rejects.toMatchObject({
        extendedCode: "SQLITE_CONSTRAINT_FOREIGNKEY",
      });
      await client.execute("insert into t (a) values (1)");
      expect(await values(client, "pragma foreign_keys")).toEqual([1]);
      expect(await values(client, "pragma ignore_check_constraints")).toEqual([0]);
    }
    expect(await values(client, "select * from child")).toEqual([]);
    const transaction = await client.transaction();
    await transaction.executeMultiple("commit; pragma foreign_keys = off");
    transaction.close();
    expect(await values(client, "pragma foreign_keys")).toEqual([1]);
  });

  test("runs the statements of a script each by itself", async () => {
    await client.executeMultiple(`
      create table child (id references t (id) deferrable initially deferred);
      create trigger note after insert on t when new.a = 'raise' begin
        select raise(rollback, 'no'); end;
      insert into t (id) values (1);
    `);
    for (const failing of [
      "insert or rollback into t (id) values (1)",
      "insert into t (id, a) values (3, 'raise')",
      "insert into child values (99)",
    ]) {
      const script = `insert into t (a) values ('; begin');; /* ; */ ${failing}; delete from t`;
      await expect(client.executeMultiple(script)).rejects.toMatchObject({
        code: "SQLITE_CONSTRAINT",
      });
    }
    expect(await values(client, "select count(*) from t")).toEqual([4]);
    await client.executeMultiple("");
    await client.executeMultiple("-- nothing");
  });

  test("refuses to write where it was told to read", async () => {
    const write = "insert into t (a) values (1)";
    await expect(client.batch([write], "read")).rejects.toMatchObject({ code: "SQLITE_READONLY" });
    const mixed = [write, "select last_insert_rowid()", "with x as (select 1) delete from t"];
    for (const batch of [
      mixed,
      ["pragma user_version", write],
      ["savepoint a", write, "release a"],
      ["pragma user_version = 7"],
    ]) {
      await expect(client.batch(batch, "read")).rejects.toMatchObject({ code: "SQLITE_READONLY" });
    }
    const [version] = await client.batch(["pragma user_version", "select 1"], "read");
    expect(version?.rows).toEqual([{ user_version: 0 }]);
    const transaction = await client.transaction("read");
    await expect(transaction.execute(write)).rejects.toMatchObject({ code: "SQLITE_READONLY" });
    expect(await values(transaction, "select count(*) from t")).toEqual([0]);
    transaction.close();
    await client.execute(write);
    expect(await values(client, "select count(*) from t")).toEqual([1]);
  });

  test("undoes a write whose answer cannot be read, alone and beside others", async () => {
    const big = "insert into t (id) values (9007199254740993) returning id";
    for (const beside of [[], ["insert into t (a) values (1)"], ["delete from t where a = 7"]]) {
      const [first] = await Promise.allSettled([
        client.execute(big),
        ...beside.map((each) => client.execute(each)),
      ]);
      expect(first).toMatchObject({ status: "rejected", reason: expect.any(RangeError) });
    }
    expect(await values(client, "select id from t")).toEqual([1]);
    const partly = "insert or fail into t (id) values (2), (1), (3)";
    for (const beside of [[], ["delete from t where id = 4"]]) {
      await Promise.allSettled([partly, ...beside].map((each) => client.execute(each)));
      expect(await values(client, "select id from t")).toEqual([1, 2]);
      await client.execute("delete from t where id = 2");
    }
  });

  test("is used by a store for the first time inside an app's transaction", async () => {
    const db = drizzle({ client });
    await migrate(db);
    const store = new LibSQLStore(db);
    const run = await db.transaction(async (tx) => {
      await tx.run(sql`insert into t (a) values (1)`);
      return store.withTransaction(tx).createRun({ workflowId: "w" });
    });
    expect((await store.getRun(run.runId)).workflowId).toBe("w");
  });

  test("undoes what a trigger wrote before it left out the only write of a batch", async () => {
    const db = drizzle({ client });
    await migrate(db);
    const store = new LibSQLStore(db);
    await client.execute("create table log (run_id text)");
    await client.execute(`
      create trigger refuse before insert on workflow_runs when new.workflow_id = 'refused' begin
        insert into log values (new.run_id);
        select raise(ignore);
      end`);
    const create = (workflowId: string) =>
      store.batch((write) => write.createRun({ workflowId, runId: workflowId }));
    const refused = { code: "CONSTRAINT" };
    await expect(create("refused")).rejects.toMatchObject(refused);
    expect(await values(client, "select count(*) from log")).toEqual([0]);
    const [first, second, third] = await Promise.allSettled(["a", "refused", "b"].map(create));
    expect(first?.status).toBe("fulfilled");
    expect(second).toMatchObject({ reason: refused });
    expect(third?.status).toBe("fulfilled");
    expect(await values(client, "select count(*) from log")).toEqual([0]);
    expect(await values(client, "select run_id from workflow_runs order by 1")).toEqual(["a", "b"]);
  });

  test("settles everything if a transaction cannot be rolled back", async () => {
    const exec = NativeConnection.prototype.exec;
    NativeConnection.prototype.exec = function (this: NativeConnection, text: string) {
      if (text.startsWith("rollback to")) throw new Error("disk I/O error");
      exec.call(this, text);
    };
    try {
      const results = await Promise.allSettled([
        client.batch(["insert into t (a) values (1)", "insert into missing values (1)"], "write"),
        client.execute("insert into t (a) values (2)"),
        client.batch(["insert into t (a) values (3)", "insert into t (a) values (4)"], "write"),
      ]);
      expect(results[0]?.status).toBe("rejected");
    } finally {
      NativeConnection.prototype.exec = exec;
    }
    await client.execute("insert into t (a) values (5)");
    expect(await values(client, "select a from t where a <> 2 order by a")).toEqual([3, 4, 5]);
  });
});
