import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient, LocalTransaction } from "../../src/client/local-client.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

const number = async (client: Pick<LocalClient, "execute">) =>
  (await client.execute("select n from counter")).rows[0]?.["n"];

describe.each(["file", "memory"])("on %s", (kind) => {
  let client: LocalClient;
  beforeEach(async () => {
    client = createClient(kind === "file" ? folder.database() : ":memory:");
    await client.executeMultiple(
      "create table counter (n integer); insert into counter values (0)",
    );
  });
  afterEach(() => client.close());

  test("ten transactions at once that increment one counter make it ten", async () => {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const transaction = await client.transaction();
        const n = Number(await number(transaction));
        await new Promise((resolve) => setTimeout(resolve, 2));
        await transaction.execute({ sql: "update counter set n = ?", args: [n + 1] });
        await transaction.commit();
      }),
    );
    expect(await number(client)).toBe(10);
  });

  test("nobody sees what is not committed", async () => {
    const transaction = await client.transaction();
    await transaction.execute("update counter set n = 5");
    const seen = number(client);
    setTimeout(() => void transaction.rollback(), 10);
    expect(await seen).toBe(0);
    expect(await number(client)).toBe(0);
  });

  test("what was issued before it ended comes after it, in order", async () => {
    const transaction = await client.transaction();
    await transaction.execute("update counter set n = 5");
    const later = [
      client.execute("update counter set n = n * 2"),
      client.execute("update counter set n = n + 1"),
    ];
    await transaction.commit();
    await Promise.all(later);
    expect(await number(client)).toBe(11);
  });

  test.each([0, 20])("calls that nobody awaits take effect in order, %s ms later", async (ms) => {
    const transaction = await client.transaction();
    const until = performance.now() + ms;
    // Longer than the event loop may be held: the next call has to wait for a turn.
    while (performance.now() < until);
    const args = [1];
    const calls = [
      transaction.execute({ sql: "update counter set n = n + ?", args }),
      transaction.executeMultiple("update counter set n = n * 3"),
      transaction.batch(["update counter set n = n + 1"]),
      transaction.commit(),
    ];
    args[0] = 100;
    await Promise.all(calls);
    expect(await number(client)).toBe(4);
    await expect(transaction.execute("select 1")).rejects.toMatchObject({
      code: "TRANSACTION_CLOSED",
    });
  });

  test("a call does not pass one that waits for a turn of the event loop", async () => {
    const until = performance.now() + 20;
    while (performance.now() < until);
    const first = client.execute("select 1");
    const second = client.execute("update counter set n = n + 1");
    const third = first.then(() => client.execute("update counter set n = n * 10"));
    await Promise.all([second, third]);
    expect(await number(client)).toBe(10);
  });

  test("a value is taken when the call is made, and a wrong one disturbs no other", async () => {
    const args = [1];
    const calls = [
      client.execute({ sql: "update counter set n = n + ?", args }),
      client.execute({ sql: "update counter set n = ?", args: [Number.NaN] }),
    ];
    args[0] = 100;
    const [added, refused] = await Promise.allSettled(calls);
    expect(added?.status).toBe("fulfilled");
    expect(refused).toMatchObject({ reason: expect.any(RangeError) });
    expect(await number(client)).toBe(1);
    const [first, second] = [{ sql: "select ? as v", args: [1] }, new Uint8Array([1])];
    const batch = client.batch(["update counter set n = 5", first], "write");
    const read = client.execute("select ? as v, n from counter", [second]);
    first.sql = "select 2 as v";
    first.args[0] = 2;
    second[0] = 2;
    expect((await batch)[1]?.rows).toEqual([{ v: 1 }]);
    expect((await read).rows).toEqual([{ v: new Uint8Array([1]).buffer, n: 5 }]);
  });

  test("a transaction that a statement has ended holds up nobody", async () => {
    await client.execute(`
      create trigger undo before update on counter when new.n = 9 begin
        select raise(rollback, 'all is undone');
      end`);
    for (const end of [
      (tx: LocalTransaction) => tx.execute("update counter set n = 9"),
      (tx: LocalTransaction) => tx.batch(["update counter set n = 8", "update counter set n = 9"]),
      (tx: LocalTransaction) => tx.run([{ sql: "update counter set n = 9", args: [] }]),
      (tx: LocalTransaction) => tx.executeMultiple("select 1; rollback"),
      (tx: LocalTransaction) => tx.execute("commit"),
    ]) {
      const transaction = await client.transaction();
      await end(transaction).catch(() => undefined);
      expect(transaction.closed).toBe(true);
      await client.execute("update counter set n = n + 1");
      await expect(transaction.commit()).rejects.toMatchObject({ code: "TRANSACTION_CLOSED" });
    }
    expect(await number(client)).toBe(5);
  });

  test("closing the client ends it, and rejects what waits", async () => {
    const transaction = await client.transaction();
    await transaction.execute("update counter set n = 5");
    const waiting = client.execute("update counter set n = 6");
    client.close();
    await expect(waiting).rejects.toMatchObject({ code: "CLIENT_CLOSED" });
    await expect(transaction.execute("select 1")).rejects.toMatchObject({
      code: "TRANSACTION_CLOSED",
    });
    await expect(transaction.commit()).rejects.toMatchObject({ code: "TRANSACTION_CLOSED" });
    await transaction.rollback();
  });
});

describe("on a file", () => {
  let client: LocalClient;
  beforeEach(async () => {
    client = createClient(folder.database());
    await client.executeMultiple(
      "create table counter (n integer); insert into counter values (0)",
    );
  });
  afterEach(() => client.close());

  test("closing the client or connecting it again frees the file of its transactions", async () => {
    await (await client.transaction()).execute("update counter set n = 7");
    await (await client.transaction("read")).execute("select n from counter");
    await Promise.resolve(client.reconnect());
    await client.execute("update counter set n = n + 1");
    const left = await client.transaction();
    await left.execute("update counter set n = 7");
    client.close();
    client = createClient(folder.database());
    await client.execute("update counter set n = n + 1");
    expect(await number(client)).toBe(2);
    const { rows } = await client.execute("pragma wal_checkpoint(truncate)");
    expect(rows[0]).toMatchObject({ busy: 0 });
  });

  test("reads do not wait for a writer", async () => {
    const transaction = await client.transaction();
    await transaction.execute("update counter set n = 5");
    expect(await number(client)).toBe(0);
    await transaction.commit();
    expect(await number(client)).toBe(5);
  });

  test("a transaction for reading sees one state for as long as it is open", async () => {
    const reader = await client.transaction("read");
    expect(await number(reader)).toBe(0);
    await client.execute("update counter set n = 5");
    expect(await number(reader)).toBe(0);
    expect(await number(client)).toBe(5);
    reader.close();
    const next = await client.transaction("read");
    expect(await number(next)).toBe(5);
    next.close();
  });

  test("what a transaction for reading attaches is gone with it", async () => {
    const first = await client.transaction("read");
    await first.execute("attach ':memory:' as beside");
    await first.commit();
    const second = await client.transaction("read");
    const { rows } = await second.execute("select name from pragma_database_list");
    expect(rows).toEqual([{ name: "main" }]);
    second.close();
  });

  test("several statements read one state", async () => {
    let writing = true;
    const writer = (async () => {
      while (writing) await client.execute("update counter set n = n + 1");
    })();
    for (let round = 0; round < 50; round++) {
      const [first, second] = await client.read([
        { sql: "select n from counter", args: [] },
        { sql: "select n from counter", args: [] },
      ]);
      expect(first?.rows).toEqual(second?.rows);
      await new Promise((resolve) => setImmediate(resolve));
    }
    writing = false;
    await writer;
  });

  test("a statement follows the schema that another connection has changed", async () => {
    const other = createClient(folder.database());
    const select = () => client.execute("select * from counter");
    expect((await select()).columns).toEqual(["n"]);
    await other.execute("alter table counter add column extra text default 'x'");
    expect(await select()).toMatchObject({ columns: ["n", "extra"], rows: [{ n: 0, extra: "x" }] });
    await other.execute("alter table counter rename column extra to other");
    expect(await select()).toMatchObject({ columns: ["n", "other"], rows: [{ n: 0, other: "x" }] });
    await other.execute("drop table counter");
    await expect(select()).rejects.toMatchObject({ code: "SQLITE_ERROR" });
    other.close();
  });

  test("an explanation leaves no old state behind", async () => {
    for (const sql of [
      "explain query plan select n from counter",
      "explain update counter set n = 7",
    ]) {
      await client.execute(sql);
      await client.read([{ sql, args: [] }]);
      await client.execute("update counter set n = n + 1");
    }
    expect(await number(client)).toBe(2);
    await client.execute("update counter set n = n + 1");
    expect(await number(client)).toBe(3);
    const transaction = await client.transaction();
    await transaction.execute("explain query plan select n from counter");
    await transaction.execute("update counter set n = n + 1");
    await transaction.commit();
    expect(await number(client)).toBe(4);
  });

  test("more statements than are kept prepared are answered all the same", async () => {
    for (let n = 0; n < 1200; n++) {
      expect((await client.execute(`select ${n} as n`)).rows).toEqual([{ n }]);
    }
    expect((await client.execute("select 0 as n")).rows).toEqual([{ n: 0 }]);
  });
});
