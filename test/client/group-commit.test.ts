import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { countWalCommits } from "../support/wal.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
let client: LocalClient;
beforeEach(async () => {
  folder = await temporaryFolder();
  client = createClient(folder.database());
  await client.executeMultiple(`
    create table parents (id integer primary key);
    create table entries (
      id integer primary key, text text, parent integer references parents (id) deferrable initially deferred
    );
    create trigger undo_all before insert on entries when new.text = 'undo all'
      begin select raise(rollback, 'all is undone'); end;
  `);
});
afterEach(async () => {
  vi.useRealTimers();
  client.close();
  await folder.remove();
});

const insert = (id: number, text = "", parent: number | null = null) => ({
  sql: "insert into entries (id, text, parent) values (?, ?, ?)",
  args: [id, text, parent],
});
const ids = async () =>
  (await client.execute("select id from entries order by rowid")).rows.map(({ id }) => id);
const commits = () => countWalCommits(folder.database().slice("file:".length));

describe("writes that are issued together", () => {
  test("commit together, in order, each with its own result", async () => {
    const before = await commits();
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, n) => client.execute(insert(n + 1))),
    );
    expect(results.map(({ lastInsertRowid }) => Number(lastInsertRowid))).toEqual(
      Array.from({ length: 200 }, (_, n) => n + 1),
    );
    // One, unless the machine is so busy that a commit's share of the event loop is over before.
    expect((await commits()) - before).toBeLessThan(20);
  });

  test("fail by themselves: a thousand, ten of them bad, are 990 rows and 10 errors", async () => {
    await client.execute(insert(0));
    const results = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, n) => client.execute(insert(n % 100 === 0 ? 0 : n))),
    );
    for (const [n, result] of results.entries()) {
      expect(result.status).toBe(n % 100 === 0 ? "rejected" : "fulfilled");
      if (result.status === "rejected") {
        expect(result.reason).toMatchObject({ extendedCode: "SQLITE_CONSTRAINT_PRIMARYKEY" });
      }
    }
    expect(await ids()).toHaveLength(991);
  });

  test("are each whole: a group that fails in its middle leaves nothing, its neighbours all", async () => {
    const results = await Promise.allSettled([
      client.batch([insert(1), insert(2)], "write"),
      client.batch([insert(3), insert(1)], "write"),
      client.write([insert(4), insert(5)]),
      client.execute(insert(6)),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(results[1]).toMatchObject({ reason: { statementIndex: 1 } });
    expect(await ids()).toEqual([1, 2, 4, 5, 6]);
  });

  test("are each whole if they return one row", async () => {
    const returning = (id: number) => {
      const { sql, args } = insert(id);
      return { sql: `${sql} returning id`, args, single: true };
    };
    const query = { sql: "select json_extract('{', '$')", args: [], single: true };
    const results = await Promise.allSettled([
      client.write([returning(1), returning(2)]),
      client.write([returning(3), returning(1)]),
      client.write([insert(4), query]),
      client.write([insert(5), returning(6), insert(1)]),
      client.execute(insert(7)),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    expect(await ids()).toEqual([1, 2, 7]);
  });

  test("leave out what is for the case that the write before it changed nothing", async () => {
    await client.execute(insert(1));
    const rename = (id: number) => ({
      sql: "update entries set text = 'renamed' where id = ?",
      args: [id],
    });
    const look = { sql: "select id from entries order by id", args: [], unlessChanged: true };
    const [renamed, ...seen] = await client.write([rename(1), look, rename(2), look, look]);
    expect(renamed?.changes).toBe(1);
    expect(seen.map(({ rows }) => rows)).toEqual([[], [], [[1]], [[1]]]);
  });

  test("are not undone by a neighbour that rolls everything back", async () => {
    const results = await Promise.allSettled([
      client.execute(insert(1)),
      client.batch([insert(2), insert(3)], "write"),
      client.execute(insert(4, "undo all")),
      client.execute(insert(5)),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(await ids()).toEqual([1, 2, 3, 5]);
  });

  test("are not undone by a neighbour whose constraint is checked at the commit", async () => {
    const results = await Promise.allSettled([
      client.execute(insert(1)),
      client.execute(insert(2, "", 99)),
      client.execute(insert(3)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: { code: "SQLITE_CONSTRAINT" } });
    expect(await ids()).toEqual([1, 3]);
  });

  test("are not refused for what a neighbour wrote and did not commit", async () => {
    const results = await Promise.allSettled([
      client.batch([insert(1), insert(2, "", 99)], "write"),
      client.execute(insert(1)),
      client.execute(insert(1)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected"]);
    expect(results[2]).toMatchObject({ reason: { extendedCode: "SQLITE_CONSTRAINT_PRIMARYKEY" } });
    expect(await ids()).toEqual([1]);
  });

  test("share a commit no longer when they are many or large", async () => {
    // A checkpoint would begin the log anew, and the commits are counted in it.
    await client.execute("pragma wal_autocheckpoint = 0");
    const large = "x".repeat(1024 * 1024);
    const before = await commits();
    await Promise.all(Array.from({ length: 20 }, (_, n) => client.execute(insert(n, large))));
    const between = await commits();
    expect(between - before).toBeGreaterThanOrEqual(3);
    await Promise.all(Array.from({ length: 2500 }, (_, n) => client.execute(insert(n + 20))));
    expect((await commits()) - between).toBeGreaterThanOrEqual(3);
    expect(await ids()).toHaveLength(2520);
  });
});

describe("a long stream of writers", () => {
  test("lets a transaction, a reader and a timer have their turn", async () => {
    let next = 1;
    let streaming = true;
    const stream = Array.from({ length: 50 }, async () => {
      while (streaming) await client.execute(insert(next++));
    });
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    for (let n = 0; n < 5; n++) {
      const transaction = await client.transaction();
      const { rows } = await transaction.execute("select count(*) as n from entries");
      // Nobody else writes while it is open.
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect((await transaction.execute("select count(*) as n from entries")).rows).toEqual(rows);
      await transaction.rollback();
      expect((await ids()).length).toBeGreaterThan(0);
    }
    streaming = false;
    await Promise.all(stream);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    expect(await ids()).toHaveLength(next - 1);
  });
});

test("a loop that awaits reads one by one lets timers go on, also after fake timers", async () => {
  const elapsed = performance.now.bind(performance);
  vi.useFakeTimers();
  await vi.advanceTimersByTimeAsync(3_600_000);
  const end = elapsed() + 20;
  while (elapsed() < end) await client.execute("select 1");
  vi.useRealTimers();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  for (let n = 0; n < 20_000 && ticks < 3; n++) await client.execute("select 1");
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(3);
});
