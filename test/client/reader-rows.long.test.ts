import { expect, onTestFinished } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { createReader } from "../../src/client/reader.ts";
import { longestHold } from "../support/event-loop.ts";
import { test } from "../support/fixtures.ts";

test("a reader hands rows in the hundred thousands over in parts", async ({ folder }) => {
  const client = createClient(folder.database());
  await client.execute("create table entries (id integer primary key)");
  client.close();
  const reader = createReader({ url: folder.database() });
  onTestFinished(() => reader.close());
  const sql =
    "with recursive c(n) as (select 1 union all select n + 1 from c where n < 150000) select n, 'row ' || n as name from c";
  const startedAt = performance.now();
  const longest = await longestHold(async () => {
    expect((await reader.execute(sql)).rows).toHaveLength(150_000);
  });
  // Handing all rows over takes most of the time.
  expect(longest).toBeLessThan((performance.now() - startedAt) / 2);
});

test("the memory of a long transaction of a reader is bounded", async ({ folder }) => {
  const client = createClient(folder.database());
  await client.execute("create table entries (id integer primary key)");
  client.close();
  const reader = createReader({ url: folder.database() });
  onTestFinished(() => reader.close());
  const transaction = await reader.transaction("read");
  const query = async (times: number) => {
    for (let n = 0; n < times; n++) await transaction.execute("select id from entries");
    return process.memoryUsage.rss();
  };
  const before = await query(1000);
  // If all were kept, 30,000 queries would take more than 480 MB.
  expect((await query(30_000)) - before).toBeLessThan(240e6);
});
