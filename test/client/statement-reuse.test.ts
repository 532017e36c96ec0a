import fc from "fast-check";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { workflowRuns } from "../../src/schema/index.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { seeded } from "../support/seed.ts";
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

describe.each(["file", "memory"])("on %s, a statement that is used again", (kind) => {
  beforeEach(async () => {
    client = createClient(kind === "file" ? folder.database() : ":memory:");
    await client.executeMultiple(
      "create table t (id integer primary key, a, b); insert into t values (1, 'one', 1), (2, 'two', 2)",
    );
  });

  test("binds the values of its own call, however it is stepped", async () => {
    const sql = "select id, a from t where id = ?";
    const uses: readonly ((id: number) => Promise<unknown>)[] = [
      async (id) => (await client.execute({ sql, args: [id] })).rows[0]?.[0],
      async (id) => (await client.batch([{ sql, args: [id] }], "read"))[0]?.rows[0]?.[0],
      async (id) => (await client.read([{ sql, args: [id] }]))[0]?.rows[0]?.[0],
      async (id) => (await client.read([{ sql, args: [id], single: true }]))[0]?.rows[0]?.[0],
      async (id) => (await client.write([{ sql, args: [id] }]))[0]?.rows[0]?.[0],
      async (id) => (await client.write([{ sql, args: [id], single: true }]))[0]?.rows[0]?.[0],
    ];
    for (const first of uses) {
      for (const second of uses) {
        expect(await first(1)).toBe(1);
        expect(await second(2)).toBe(2);
        expect(await first(3)).toBeUndefined();
        expect(await second(1)).toBe(1);
      }
    }
  });

  test("binds its values after a use that failed in the middle", async () => {
    const sql = "select a from t where id = ? and json_extract(?, '$') is not null";
    for (const single of [true, false]) {
      const run = async (id: number, json: string) =>
        (await client.read([{ sql, args: [id, json], single }]))[0]?.rows;
      expect(await run(1, "1")).toEqual([["one"]]);
      await expect(run(1, "{")).rejects.toThrow("malformed JSON");
      expect(await run(2, "2")).toEqual([["two"]]);
    }
  });

  test("reads integers as its own call asks", async () => {
    const sql = "select 9007199254740993 as n";
    await expect(client.execute(sql)).rejects.toThrow(RangeError);
    expect((await client.read([{ sql, args: [] }]))[0]?.rows).toEqual([[2 ** 53]]);
    expect((await client.read([{ sql, args: [], single: true }]))[0]?.rows).toEqual([[2 ** 53]]);
    await expect(client.execute(sql)).rejects.toThrow(RangeError);
  });

  test("takes NULL for a value that is not given", async () => {
    const sql = "select ? as a, ?3 as b, :name as c, ?2 as d";
    const row = async (args: (string | null)[]) =>
      Object.values((await client.execute({ sql, args })).rows[0] ?? {});
    expect(await row(["1", "2", "3", "4"])).toEqual(["1", "3", "4", "2"]);
    expect(await row(["5"])).toEqual(["5", null, null, null]);
    expect(await row([])).toEqual([null, null, null, null]);
    expect(await row(["1", "2", "3", "4", "too many"])).toEqual(["1", "3", "4", "2"]);
    const named = { sql: "select :a as a, @b as b, $c as c, :a as d", args: { a: 1, b: 2, c: 3 } };
    expect((await client.execute(named)).rows).toEqual([{ a: 1, b: 2, c: 3, d: 1 }]);
    const fewer = { sql: named.sql, args: { c: 4 } };
    expect((await client.execute(fewer)).rows).toEqual([{ a: null, b: null, c: 4, d: null }]);
  });

  test("refuses values by name for parameters without one, and goes on", async () => {
    for (const args of [{}, { a: 1 }]) {
      for (const sql of ["select ? as a", "select :a, ?", "insert into t (a) values (?)"]) {
        await expect(client.execute({ sql, args })).rejects.toMatchObject({ code: "ARGS_INVALID" });
      }
    }
    expect((await client.execute({ sql: "select '?' as a", args: {} })).rows).toEqual([{ a: "?" }]);
  });

  test("has the columns of the present schema", async () => {
    const select = async (sql: string) => {
      const { columns, columnTypes, rows } = await client.execute(sql);
      return [columns, columnTypes, rows.length];
    };
    await client.execute("create view v as select id from t");
    expect(await select("select id from v")).toEqual([["id"], ["INTEGER"], 2]);
    expect(await select("select A from t")).toEqual([["a"], [""], 2]);
    await client.execute("alter table t rename column a to A");
    expect(await select("select A from t")).toEqual([["A"], [""], 2]);
    await client.executeMultiple("drop view v; create view v as select A as id from t");
    expect(await select("select id from v")).toEqual([["id"], [""], 2]);
    await client.batch(["drop view v", "create view v as select b as ID from t"], "write");
    expect(await select("select id from v")).toEqual([["ID"], [""], 2]);
  });

  test("reads all columns of the present schema", async () => {
    for (const single of [true, false]) {
      const width = async () =>
        (await client.read([{ sql: "select * from t", args: [], single }]))[0]?.rows[0]?.length;
      expect(await width()).toBe(3);
      await client.execute("alter table t add column extra");
      expect(await width()).toBe(4);
      await client.execute("alter table t drop column extra");
      expect(await width()).toBe(3);
    }
  });

  test("rejects a boolean, which would end the process", async () => {
    const args = [true as unknown as number];
    await expect(client.read([{ sql: "select ?", args }])).rejects.toThrow(TypeError);
    await expect(client.write([{ sql: "update t set b = ?", args }])).rejects.toThrow(TypeError);
  });

  test("forgets the columns of a change that was rolled back", async () => {
    const sql = "select extra from t";
    const transaction = await client.transaction();
    await transaction.execute("alter table t add column extra text");
    expect((await transaction.execute(sql)).columnTypes).toEqual(["TEXT"]);
    await transaction.execute(sql);
    await transaction.rollback();
    const next = await client.transaction();
    await next.execute("alter table t add column Extra integer");
    expect(await next.execute(sql)).toMatchObject({ columns: ["Extra"], columnTypes: ["INTEGER"] });
    await next.commit();
  });
});

test("random uses of few statements answer as if each were prepared for its call", async () => {
  client = createClient(folder.database());
  const texts = [
    "select ? as a, ? as b",
    "select :a as a, :b as b, ?1 as c",
    "select value as a from json_each('[1,2,3]') where value >= coalesce(?, 2)",
    "insert into t (a, b) values (?, ?) returning a, b",
  ] as const;
  await client.execute("create table t (a, b)");
  const use = fc.record({
    sql: fc.constantFrom(...texts),
    args: fc.array(fc.constantFrom(null, 1, "x", 2.5), { maxLength: 3 }),
    how: fc.constantFrom("execute", "read", "single", "write"),
  });
  const fresh = async (sql: string, args: readonly (string | number | null)[]) => {
    const other = createClient(":memory:");
    await other.execute("create table t (a, b)");
    const [answer] = await other.write([{ sql, args }]);
    other.close();
    return answer?.rows ?? [];
  };
  await fc.assert(
    fc.asyncProperty(fc.array(use, { minLength: 2, maxLength: 12 }), async (uses) => {
      for (const { sql, args, how } of uses) {
        const expected = await fresh(sql, args);
        const single = how === "single";
        if (how === "execute") {
          const { rows } = await client.execute({ sql, args });
          expect(rows.map((row) => Array.from(row))).toEqual(expected);
        } else {
          const call = how === "write" || sql.startsWith("insert") ? "write" : "read";
          const [answer] = await client[call]([{ sql, args, single }]);
          expect(answer?.rows).toEqual(single ? expected.slice(0, 1) : expected);
        }
      }
    }),
    { ...seeded, numRuns: 60 },
  );
});

test("a store gives the run that it was asked for beside an app's typed select", async () => {
  client = createClient(folder.database());
  const store = await LibSQLStore.open(folder.database());
  const first = await store.createRun({ workflowId: "w", input: 1 });
  const second = await store.createRun({ workflowId: "w", input: 2 });
  await store.db.select().from(workflowRuns).where(eq(workflowRuns.runId, first.runId));
  expect((await store.getRun(second.runId)).input).toBe(2);
  const db = drizzle({ client });
  const shared = new LibSQLStore(db);
  await db.select().from(workflowRuns).where(eq(workflowRuns.runId, first.runId));
  expect((await shared.getRun(second.runId)).input).toBe(2);
  await store.close();
});
