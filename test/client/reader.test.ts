import { setTimeout as sleep } from "node:timers/promises";
import { drizzle } from "drizzle-orm/libsql";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { createReader, type Reader, type ReaderConfig } from "../../src/client/reader.ts";
import { InvalidArgumentError, UnsupportedError } from "../../src/errors.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
let client: LocalClient;
beforeEach(async () => {
  folder = await temporaryFolder();
  client = createClient(folder.database());
  await client.executeMultiple(
    "create table entries (id integer primary key, name text, size real, content blob);" +
      "insert into entries values (1, 'one', 1.5, x'00ff'), (2, null, 2, null);",
  );
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

function open(options: Omit<ReaderConfig, "url" | "path"> = {}): Reader {
  const reader = createReader({ url: folder.database(), ...options });
  onTestFinished(() => reader.close());
  return reader;
}

/** A query that runs for a long time before it has a row; without an end if `rows` is not given. */
const longQuery = (rows?: number) =>
  `with recursive c(n) as (select 1 union all select n + 1 from c ${
    rows === undefined ? "" : `where n < ${rows}`
  }) select count(*) as n from c`;

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe("a reader answers as the client does", () => {
  test.each([
    "select * from entries",
    "select id, name as title, size * 2, content, 'text' as \"a b\", null from entries order by id desc; select 2",
    "select 1 as a, 2 as a",
    "values (1, 'x'), (2, 'y')",
    "with e as (select id from entries) select * from e -- a comment",
    "select count(*) from entries where id > 5",
    "select id from entries /* a comment that is not closed",
    "explain query plan select * from entries where id = 1",
    "pragma table_info(entries)",
  ])("%s", async (sql) => {
    const reader = open();
    const { columns, columnTypes, rows } = await client.execute(sql);
    const result = await reader.execute(sql);
    expect({ ...result }).toMatchObject({ columns, columnTypes });
    expect(result.rows).toEqual(rows);
  });

  test("arguments are bound by position and by name, and integers follow intMode", async () => {
    const sql = "select ? as a, ? as b, 9007199254740993 as c";
    const reader = open({ intMode: "bigint" });
    expect((await reader.execute(sql, [5n, "x"])).rows).toEqual([
      { a: 5n, b: "x", c: 9007199254740993n },
    ]);
    expect((await reader.execute("select :a as a, @b as b", { a: true, b: null })).rows).toEqual([
      { a: 1n, b: null },
    ]);
    await expect(open().execute(sql, [1, 2])).rejects.toThrow(RangeError);
    const asked = { sql: "select ? as a", args: [1n] };
    const batch = reader.batch([asked]);
    asked.sql = "select 2 as a";
    asked.args[0] = 3n;
    expect((await batch)[0]?.rows).toEqual([{ a: 1n }]);
    await expect(reader.execute("select ?", { a: 1 })).rejects.toMatchObject({
      code: "ARGS_INVALID",
    });
  });

  test("Drizzle takes it", async () => {
    const entries = sqliteTable("entries", { id: integer().primaryKey(), name: text() });
    const db = drizzle({ client: open(), schema: { entries } });
    expect(await db.select().from(entries)).toEqual([
      { id: 1, name: "one" },
      { id: 2, name: null },
    ]);
    expect(await db.query.entries.findFirst()).toEqual({ id: 1, name: "one" });
    const [all, some] = await db.batch([
      db.select().from(entries),
      db.select().from(entries).limit(1),
    ]);
    expect([all.length, some.length]).toEqual([2, 1]);
  });

  test("a failing statement has the error that the client has", async () => {
    const failure = await failureOf(client.execute("select * from nowhere"));
    expect(await failureOf(open().execute("select * from nowhere"))).toEqual(failure);
    const division = await failureOf(client.execute("select 1 /*"));
    expect(await failureOf(open().execute("select 1 /*"))).toEqual(division);
    expect(await failureOf(open().batch(["select 1", "select * from nowhere"]))).toMatchObject({
      statementIndex: 1,
    });
  });
});

test("text that is not UTF-8 is an error, and other cells keep their values", async () => {
  const reader = open();
  await client.execute(
    "insert into entries values (3, cast(x'ff' as text), 1e999, x'00'), (4, 'it''s \uFFFD', -5, 'text')",
  );
  await expect(reader.execute("select * from entries")).rejects.toMatchObject({
    code: "TEXT_NOT_UTF8",
  });
  await expect(reader.batch(["values (1, cast(x'ff' as text))"])).rejects.toMatchObject({
    code: "TEXT_NOT_UTF8",
  });
  const sql = "select *, size || name from entries where id <> 3 order by id desc limit 2";
  expect((await reader.execute(sql)).rows).toEqual((await client.execute(sql)).rows);
  expect((await reader.execute("select size from entries where id = 3")).rows).toEqual([
    { size: Infinity },
  ]);
});

test("columns that another connection added are read", async () => {
  const reader = open();
  await reader.execute("select * from entries");
  await client.execute("alter table entries add column more text default 'new'");
  const { columns, rows } = await reader.execute("select * from entries where id = 1");
  expect([columns.at(-1), rows[0]?.["more"]]).toEqual(["more", "new"]);
});

test("a batch and a transaction see one snapshot, and the next statement sees what was committed", async () => {
  const reader = open();
  const count = "select count(*) as n from entries";
  const transaction = await reader.transaction();
  expect((await transaction.execute(count)).rows).toEqual([{ n: 2 }]);
  await client.execute("insert into entries (id) values (3)");
  expect((await transaction.execute(count)).rows).toEqual([{ n: 2 }]);
  expect((await transaction.batch([count]))[0]?.rows).toEqual([{ n: 2 }]);
  expect((await reader.execute(count)).rows).toEqual([{ n: 3 }]);
  await transaction.commit();
  expect(transaction.closed).toBe(true);
  expect(await failureOf(transaction.execute(count))).toMatchObject({ code: "TRANSACTION_CLOSED" });
});

test("everything but a query is refused, and changes nothing", async () => {
  const reader = open();
  const write = "insert into entries (id) values (9)";
  const transaction = await reader.transaction("write");
  const refused = [
    () => reader.execute(write),
    () => reader.execute(`${write} returning id`),
    () => reader.execute("create temp table t (a)"),
    () => reader.execute("pragma user_version = 5"),
    () => reader.execute(`attach '${folder.path}/other.db' as other`),
    () => reader.batch(["select 1", write]),
    () => reader.executeMultiple(write),
    () => reader.migrate([write]),
    () => transaction.execute(write),
    () => transaction.executeMultiple(write),
  ];
  for (const call of refused) {
    expect(await failureOf(call())).toMatchObject({ code: "SQLITE_READONLY" });
  }
  transaction.close();
  expect((await client.execute("select max(id) as id from entries")).rows).toEqual([{ id: 2 }]);
});

describe("while a long query runs", () => {
  test("the event loop continues, and the client reads and writes", async () => {
    const reader = open();
    let isRunning = true;
    let writes = 0;
    const query = reader.execute(longQuery(6_000_000)).finally(() => (isRunning = false));
    while (isRunning) {
      await client.execute("insert into entries (name) values ('meanwhile')");
      await client.execute("select count(*) from entries");
      writes += 1;
      await sleep(1);
    }
    expect((await query).rows).toEqual([{ n: 6_000_000 }]);
    // Without a thread of its own the query lets one of them through.
    expect(writes).toBeGreaterThan(1);
  });
});

describe("an interrupted query", () => {
  /** The share of a processor that this process uses in the next half second. */
  async function busyShare(): Promise<number> {
    const before = process.cpuUsage();
    await sleep(500);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 500_000;
  }

  test("ends with the reason of its signal, and uses no processor any more", async () => {
    const controller = new AbortController();
    const reader = open({ signal: controller.signal });
    const query = failureOf(reader.execute(longQuery()));
    const waiting = failureOf(reader.execute("select 1"));
    setTimeout(() => controller.abort(new Error("enough")), 100);
    const startedAt = performance.now();
    expect(await query).toEqual(new Error("enough"));
    expect(await waiting).toEqual(new Error("enough"));
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(await busyShare()).toBeLessThan(0.5);
    expect((await reader.with({ signal: undefined }).execute("select 1 as a")).rows).toEqual([
      { a: 1 },
    ]);
  });

  test("ends after its timeout, at once or between two rows", async () => {
    const reader = open({ timeoutMs: 400 });
    for (const sql of [longQuery(), longQuery().replace("count(*) as n", "n")]) {
      expect(await failureOf(reader.execute(sql))).toMatchObject({ code: "SQLITE_INTERRUPT" });
    }
    expect(await failureOf(reader.batch(["select 1", longQuery()]))).toMatchObject({
      code: "SQLITE_INTERRUPT",
    });
    const transaction = await reader.transaction();
    expect(await failureOf(transaction.execute(longQuery()))).toMatchObject({
      code: "SQLITE_INTERRUPT",
    });
    expect((await transaction.execute("select 1 as a")).rows).toEqual([{ a: 1 }]);
    transaction.close();
    expect(await busyShare()).toBeLessThan(0.5);
  });

  test("ends when the reader is closed", async () => {
    const reader = open();
    const query = failureOf(reader.execute(longQuery()));
    await sleep(50);
    reader.close();
    expect(await query).toMatchObject({ code: "CLIENT_CLOSED" });
    expect(await failureOf(reader.execute("select 1"))).toMatchObject({ code: "CLIENT_CLOSED" });
    expect(reader.closed).toBe(true);
    expect(await busyShare()).toBeLessThan(0.5);
  });

  test("does not keep its process alive once the reader is closed", async () => {
    const program = await compileProgram(`${import.meta.dirname}/programs/report-and-exit.ts`);
    const { ended } = startProgram(program, [folder.database()]);
    expect((await ended).code).toBe(0);
  });

  test("leaves no reading transaction behind that would keep the log from being emptied", async () => {
    const reader = open({ timeoutMs: 50 });
    const checkpoint = async () =>
      (await client.execute("pragma wal_checkpoint(truncate)")).rows[0]?.["busy"];
    const expectEmptied = async () => {
      await client.execute("insert into entries (name) values ('x')");
      await expect.poll(checkpoint, { timeout: 5_000 }).toBe(0);
    };
    // The call has ended; its query ends at the next step.
    await failureOf(reader.execute(`select e.* from entries e, (${longQuery()}) order by 1`));
    await expectEmptied();
    const tooLarge = `
      with recursive n (i) as (select 9007199254740993 union all select i + 1 from n limit 500)
      select i from n, (select 1 from entries limit 1)`;
    await failureOf(reader.execute(tooLarge));
    await expectEmptied();
    const failing = await reader.transaction();
    await failureOf(failing.execute(tooLarge));
    await failing.commit();
    await expectEmptied();
    const left = await reader.transaction();
    await left.execute("select * from entries");
    reader.close();
    await expectEmptied();
  });
});

describe("a reader is refused", () => {
  test("for a database in memory", () => {
    expect(() => createReader(":memory:")).toThrow(UnsupportedError);
  });

  test.each([
    [{ url: "libsql://example.com" }, "config.url"],
    [{ timeoutMs: 0 }, "config.timeoutMs"],
    [{ signal: {} }, "config.signal"],
    [{ durability: "normal" }, "config.durability"],
    [{ colour: "red" }, "config.colour"],
  ])("for %o", (options, argument) => {
    const config = { url: folder.database(), ...options } as ReaderConfig;
    const error = (() => {
      try {
        return createReader(config);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
  });

  test("for a file that does not exist, which is not created", async () => {
    const url = folder.database("missing.db");
    expect(() => createReader(url)).toThrow(
      expect.objectContaining({ code: "SQLITE_CANTOPEN" }) as Error,
    );
  });
});

test("a lock that keeps readers out is waited for", async () => {
  const url = folder.database("delete.db");
  const writer = createClient({ url, journalMode: "delete" });
  await writer.execute("create table t (a)");
  const reader = createReader({ url, busyTimeoutMs: 100 });
  onTestFinished(() => {
    reader.close();
    writer.close();
  });
  const { default: Database } = await import("libsql");
  const holder = new Database(url.slice("file:".length));
  holder.exec("begin exclusive");
  expect(await failureOf(reader.execute("select * from t"))).toMatchObject({ code: "STORE_BUSY" });
  const transaction = await reader.transaction();
  expect(await failureOf(transaction.execute("select * from t"))).toMatchObject({
    code: "STORE_BUSY",
  });
  const waiting = [reader.execute("select * from t"), transaction.execute("select * from t")];
  await sleep(20);
  holder.exec("commit");
  holder.close();
  for (const { rows } of await Promise.all(waiting)) expect(rows).toEqual([]);
  await transaction.commit();
});

test("a file that was replaced is not read any more", async () => {
  const reader = open();
  await reader.execute("select 1");
  const { rename } = await import("node:fs/promises");
  const path = folder.database().slice("file:".length);
  await rename(path, `${path}.old`);
  expect(await failureOf(reader.execute("select 1"))).toMatchObject({
    extendedCode: "SQLITE_READONLY_DBMOVED",
  });
});
