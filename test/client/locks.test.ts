import Database from "libsql";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClientConfig } from "../../src/client/config.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { StoreBusyError } from "../../src/errors.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let programs: { readonly writer: string; readonly lockHolder: string };
beforeAll(async () => {
  programs = {
    writer: await compileProgram(`${import.meta.dirname}/programs/writer.ts`),
    lockHolder: await compileProgram(`${import.meta.dirname}/programs/lock-holder.ts`),
  };
});

/** An answer of the program `opener`; it is ready for round 0 after round -1. */
interface Opened {
  readonly round: number;
  readonly failed: string | null;
}

let folder: TemporaryFolder;
const clients: LocalClient[] = [];
const open = (options: Omit<LocalClientConfig, "url" | "path"> = {}): LocalClient => {
  const client = createClient({ url: folder.database(), ...options });
  clients.push(client);
  return client;
};
const insert = (id: string) => ({
  sql: "insert into entries (id, half) values (?, 0)",
  args: [id],
});
const count = async (client: LocalClient) =>
  (await client.execute("select count(*) as n from entries")).rows[0]?.["n"];

beforeEach(async () => {
  folder = await temporaryFolder();
  await open().execute("create table entries (id text, half integer, primary key (id, half))");
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await folder.remove();
});

async function holdLock(holdMs: number) {
  const path = folder.database().slice("file:".length);
  const holder = startProgram<{ held: boolean }>(programs.lockHolder, [path, String(holdMs)]);
  await holder.message(({ held }) => held);
  return holder;
}

describe("a lock of another process", () => {
  test("is waited for, and everything acknowledged afterwards is on the disk", async () => {
    const client = open();
    const holder = await holdLock(400);
    await Promise.all([
      ...Array.from({ length: 50 }, (_, n) => client.execute(insert(`execute-${n}`))),
      client.batch([insert("batch-1"), insert("batch-2")], "write"),
      client.transaction().then(async (transaction) => {
        await transaction.execute(insert("transaction"));
        await transaction.commit();
      }),
    ]);
    await holder.ended;
    for (let n = 0; n < 50; n++) await client.execute(insert(`later-${n}`));
    expect(await count(open())).toBe(50 + 2 + 1 + 50 + 1);
  });

  test("holds up neither reads nor timers", async () => {
    const client = open();
    const holder = await holdLock(500);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const write = client.execute(insert("waiting"));
    expect(await count(client)).toBe(0);
    await write;
    clearInterval(timer);
    await holder.ended;
    // Waiting in the binding would let the timer fire once at most.
    expect(ticks).toBeGreaterThan(20);
    expect(await count(client)).toBe(2);
  });

  test("that is held too long ends in StoreBusyError, and nothing is half-done", async () => {
    const client = open({ busyTimeoutMs: 100 });
    const holder = await holdLock(1000);
    const results = await Promise.allSettled([
      client.execute(insert("execute")),
      client.batch([insert("batch-1"), insert("batch-2")], "write"),
      client.transaction(),
      client.migrate([insert("migrate")]),
      client.executeMultiple("insert into entries (id, half) values ('script', 0)"),
    ]);
    for (const result of results) {
      expect(result).toMatchObject({ status: "rejected", reason: expect.any(StoreBusyError) });
    }
    await holder.ended;
    expect(await count(open())).toBe(1);
    await client.execute(insert("later"));
    expect(await count(open())).toBe(2);
  });

  test("that was not waited out leaves later calls in their order", async () => {
    const client = open({ busyTimeoutMs: 50 });
    const other = new Database(folder.database().slice("file:".length));
    for (const call of [
      () => client.execute(insert("refused")),
      () => client.executeMultiple("insert into entries (id, half) values ('refused', 0)"),
    ]) {
      other.exec("begin immediate");
      await expect(call()).rejects.toThrow(StoreBusyError);
      other.exec("rollback");
      void client.execute(insert("stored"));
      expect(await count(client)).toBe(1);
      await client.execute("delete from entries");
    }
    other.close();
  });

  test("is waited for inside the transaction of a script", async () => {
    const client = open();
    const transaction = await open().transaction();
    const script = client.executeMultiple(`
      begin;
      insert into entries (id, half) values ('first', 0);
      insert into entries (id, half) values ('second', 0);
      commit;
      insert into entries (id, half) values ('third', 0)`);
    const late = client.executeMultiple(`
      begin;
      select * from entries;
      insert into entries (id, half) values ('late', 0);
      commit`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await transaction.execute(insert("other"));
    await transaction.commit();
    await Promise.all([script, late]);
    expect(await count(client)).toBe(5);
  });

  test("costs a client neither its temporary tables nor its attached databases", async () => {
    const client = open();
    const path = `${folder.path}/side.db`;
    const side = new Database(path);
    side.exec("create table kept (x)");
    await client.execute("create temp table scratch (x)");
    await client.execute(`attach '${path}' as side`);
    for (const sql of [
      "select count(*) from side.kept",
      "insert into scratch values (1)",
      "insert into side.kept values (2)",
      "pragma side.user_version = 3",
      `attach '${path}' as again`,
    ]) {
      side.exec("begin exclusive");
      const waiting = client.execute(sql);
      await new Promise((resolve) => setTimeout(resolve, 20));
      side.exec("commit");
      await waiting;
    }
    const both = await client.execute(
      "select s.x as a, k.x as b from scratch as s, again.kept as k",
    );
    expect(both.rows).toEqual([{ a: 1, b: 2 }]);
    expect(side.prepare("pragma user_version").get([])).toMatchObject({ user_version: 3 });
    side.close();
  });

  test("is waited for by a reading transaction of a file without a write-ahead log", async () => {
    const path = `${folder.path}/journal.db`;
    const client = createClient({ path, journalMode: "delete" });
    clients.push(client);
    await client.execute("create table entries (id text)");
    (await client.transaction("read")).close();
    const other = new Database(path);
    other.exec("begin exclusive; insert into entries values ('first')");
    setTimeout(() => other.exec("commit"), 100);
    const transaction = await client.transaction("read");
    expect((await transaction.execute("select id from entries")).rows).toEqual([{ id: "first" }]);
    transaction.close();
    other.close();
  });

  test("does not reset the settings of a script that waits for it", async () => {
    const client = open();
    await client.executeMultiple(`
      create table parents (id integer primary key);
      create table children (parent references parents on delete cascade);
      insert into parents values (1);
      insert into children values (1)`);
    const transaction = await open().transaction();
    const rebuilt = client.executeMultiple(`
      pragma foreign_keys = off;
      begin immediate;
      create table rebuilt as select * from parents;
      drop table parents;
      alter table rebuilt rename to parents;
      commit`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await transaction.rollback();
    await rebuilt;
    const { rows } = await client.execute("select count(*) as children from children");
    expect(rows).toEqual([{ children: 1 }]);
    const { rows: settings } = await client.execute("pragma foreign_keys");
    expect(settings).toEqual([{ foreign_keys: 1 }]);
  });
});

test("four processes write a thousand times each: every row is there, once", async () => {
  const writers = Array.from({ length: 4 }, (_, n) =>
    startProgram<{ acknowledged?: string }>(programs.writer, [
      folder.database(),
      `writer${n}`,
      "1000",
      "normal",
    ]),
  );
  const ends = await Promise.all(writers.map(({ ended }) => ended));
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
  const acknowledged = writers.flatMap(({ messages }) =>
    messages.flatMap(({ acknowledged: id }) => id ?? []),
  );
  expect(acknowledged).toHaveLength(4000);
  const { rows } = await open().execute("select id, count(*) as halves from entries group by id");
  expect(new Map(rows.map(({ id, halves }) => [id, halves]))).toEqual(
    new Map(acknowledged.map((id) => [id, 2])),
  );
});

describe("a transaction that is left open", () => {
  test("is waited for, and then named as what holds everybody up", async () => {
    const client = open({ busyTimeoutMs: 100 });
    const transaction = await client.transaction();
    await transaction.execute(insert("first"));
    await expect(client.execute(insert("second"))).rejects.toThrow(StoreBusyError);
    await transaction.commit();
    await client.execute(insert("third"));
    expect(await count(client)).toBe(2);
  });

  test("does not keep those waiting who come after it has ended", async () => {
    // All of them take longer than this, and none by itself.
    const client = open({ busyTimeoutMs: 1000 });
    const order: string[] = [];
    const turns = Array.from({ length: 25 }, async (_, n) => {
      const transaction = await client.transaction();
      await new Promise((resolve) => setTimeout(resolve, 50));
      await transaction.execute(insert(`${n}`));
      await transaction.commit();
      order.push(`${n}`);
    });
    await Promise.all(turns);
    expect(order).toEqual(Array.from({ length: 25 }, (_, n) => `${n}`));
  });
});

test("a lock met while the file is opened is waited for", async () => {
  const other = createClient(folder.database("new.db"));
  await other.executeMultiple("create table entries (id text, half integer)");
  other.close();
  const path = folder.database("new.db").slice("file:".length);
  const holder = startProgram<{ held: boolean }>(programs.lockHolder, [path, "300"]);
  await holder.message(({ held }) => held);
  const client = createClient(folder.database("new.db"));
  await client.execute(insert("second"));
  expect(await count(client)).toBe(2);
  client.close();
  await holder.ended;
});

test("a file that another process is opening for the first time gets a write-ahead log", async () => {
  const url = folder.database("half-open.db");
  // The other process has set auto_vacuum, which writes the first page, and not the journal mode yet.
  const other = new Database(url.slice("file:".length));
  other.exec("pragma auto_vacuum = incremental");
  other.exec("begin immediate");
  const client = createClient(url);
  const created = client.execute("create table t (a)");
  await new Promise((resolve) => setTimeout(resolve, 20));
  other.exec("commit");
  other.close();
  await created;
  expect((await client.execute("pragma journal_mode")).rows).toEqual([{ journal_mode: "wal" }]);
  client.close();
});

test("four processes that open one new file at once all succeed", async () => {
  const opener = await compileProgram(`${import.meta.dirname}/programs/opener.ts`);
  const openers = Array.from({ length: 4 }, () => startProgram<Opened>(opener, []));
  const all = (fits: (message: Opened) => boolean) =>
    Promise.all(openers.map(({ message }) => message(fits)));
  await all(({ round }) => round === -1);
  for (let round = 0; round < 4; round++) {
    const url = folder.database(`opened-${round}.db`);
    const startAt = Date.now() + 50;
    for (const { send } of openers) send({ url, startAt, round });
    const answers = await all((message) => message.round === round);
    expect(answers.map(({ failed }) => failed)).toEqual([null, null, null, null]);
    const client = createClient(url);
    expect((await client.execute("select count(*) as n from t")).rows).toEqual([{ n: 4 }]);
    expect((await client.execute("pragma journal_mode")).rows).toEqual([{ journal_mode: "wal" }]);
    client.close();
  }
  await Promise.all(openers.map(({ kill }) => kill()));
});
