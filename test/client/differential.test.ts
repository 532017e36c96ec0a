import { createClient as createOther, type Client, type InValue } from "@libsql/client";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** The same calls on our client and on `@libsql/client`; what differs on purpose is listed in docs/client.md. */
const value: fc.Arbitrary<InValue> = fc.oneof(
  fc.constantFrom<InValue>(null, 0, 1, -1.5, 2 ** 53, 5n, -(2n ** 63n), 2n ** 63n, true, false),
  fc.constantFrom<InValue>("", "x", "ü🎉", "\ud800", "a'b", NaN, Infinity, new Date(5)),
  fc.constantFrom<InValue>(new Uint8Array([1, 2]), new Uint8Array([3]).buffer),
  fc.constant(undefined as unknown as InValue),
);
const sql = fc.constantFrom(
  "select ? as a, ? as b, typeof(?) as c",
  "select :a as a, @b as b, $c as c, ?2 as d",
  "select * from t order by id",
  "select count(*) as n, max(id) as m from t",
  "select id, a as id, 1 as length from t order by id",
  "insert into t (a) values (?)",
  "insert into t (a, b) values (?, ?) returning id, a",
  "insert or replace into t (id, a) values (1, ?)",
  "insert or ignore into t (id, a) values (1, ?)",
  "update t set b = ? where id > ?",
  "delete from t where id = ?",
  "with x as (select ? as a) insert into t (a) select a from x",
  "with x as (select 1 as a) select a from x",
  "values (?, ?), (3, 4)",
  "insert into u (id, t) values (?, ?)",
  "select last_insert_rowid() as r, changes() as c",
  "pragma user_version",
  "pragma table_info(t)",
  "create table if not exists v (x)",
  "drop table if exists v",
  "select * from missing",
  "selec",
  "select 1 as a; select 2 as b",
  "",
);
const args = fc.oneof(
  fc.array(value, { maxLength: 4 }),
  fc.record({ a: value, "@b": value, $c: value }, { requiredKeys: [] }),
);
const statement = fc
  .record({ sql, args })
  // Values by name for a parameter without one end the process on @libsql/client.
  .map(({ sql: text, args: given }) =>
    !Array.isArray(given) && text.includes("?")
      ? { sql: text, args: [] }
      : { sql: text, args: given },
  );
const call = fc.oneof(
  fc.record({ kind: fc.constant("execute" as const), statement }),
  fc.record({
    kind: fc.constant("batch" as const),
    statements: fc.array(statement, { maxLength: 4 }),
    mode: fc.constantFrom("write" as const, "deferred" as const),
  }),
  fc.record({
    kind: fc.constant("transaction" as const),
    statements: fc.array(statement, { maxLength: 4 }),
    end: fc.constantFrom("commit" as const, "rollback" as const, "close" as const),
  }),
  fc.record({
    kind: fc.constant("script" as const),
    sql: fc.constantFrom(
      "insert into t (a) values (1); insert into t (id) values (1); insert into t (a) values (2)",
      "begin; insert into t (a) values (1); commit",
      "begin; insert into t (a) values (1)",
      "select 1; -- nothing",
    ),
  }),
);
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return { answer: await work() };
  } catch (error) {
    const { name, code, extendedCode, rawCode, statementIndex } = error as Error &
      Record<string, unknown>;
    return { name, code, extendedCode, rawCode, statementIndex };
  }
}

async function perform(client: Client, each: Call): Promise<unknown> {
  switch (each.kind) {
    case "execute":
      return outcome(() => client.execute(each.statement));
    case "batch":
      return outcome(() => client.batch([...each.statements], each.mode));
    case "script":
      return outcome(() => client.executeMultiple(each.sql));
    default:
      return outcome(async () => {
        const transaction = await client.transaction("write");
        const answers = [];
        for (const one of each.statements)
          answers.push(await outcome(() => transaction.execute(one)));
        answers.push(await outcome(async () => transaction[each.end]()));
        return [answers, transaction.closed];
      });
  }
}

test("random calls are answered as @libsql/client answers them", async () => {
  const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  const folder = await temporaryFolder();
  let number = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 8 }), async (calls) => {
        number += 1;
        const ours: Client = createClient(folder.database(`ours-${number}.db`));
        const theirs = createOther({ url: folder.database(`theirs-${number}.db`), concurrency: 1 });
        const setup =
          "create table t (id integer primary key, a, b text); create table u (id unique, t references t (id)); insert into t (a) values (1)";
        for (const client of [ours, theirs]) await client.executeMultiple(setup);
        for (const each of calls) {
          expect(await perform(ours, each)).toEqual(await perform(theirs, each));
        }
        ours.close();
        theirs.close();
      }),
      { seed, numRuns: Number(process.env["DIFFERENTIAL_RUNS"] ?? 50) },
    );
  } finally {
    await folder.remove();
  }
}, 600_000);
