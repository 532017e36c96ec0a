import {
  createClient as createOther,
  type Client,
  type InValue,
  type Transaction,
} from "@libsql/client";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { seeded } from "../support/seed.ts";
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
/** What only one connection has. */
const ownTables = [
  "create temp table if not exists own (x)",
  "insert into own values (?)",
  "select x from own",
  "drop table if exists own",
  "select name from sqlite_temp_master",
  "attach ':memory:' as side",
  "create table if not exists side.s (x)",
  "insert into side.s values (?)",
  "select x from side.s",
  "select x from s",
  "detach side",
];
const args = fc.oneof(
  fc.array(value, { maxLength: 4 }),
  fc.record({ a: value, "@b": value, $c: value }, { requiredKeys: [] }),
);
const statement = fc
  .record({ sql: fc.oneof({ weight: 3, arbitrary: sql }, fc.constantFrom(...ownTables)), args })
  .map(({ sql: text, args: given }) => {
    // Values by name for a parameter without one end the process on @libsql/client.
    if (!Array.isArray(given)) return { sql: text, args: text.includes("?") ? [] : given };
    // Only @libsql/client stores a row that it cannot return.
    const isReturned = text.includes("returning");
    return { sql: text, args: given.filter((each) => !isReturned || each !== -(2n ** 63n)) };
  });
const reading = statement.filter(({ sql: text }) => /^(?:select|values)/.test(text));
const executed = fc.record({ kind: fc.constant("execute" as const), statement });
const call = fc.oneof(
  executed,
  fc.record({
    kind: fc.constant("batch" as const),
    statements: fc.array(statement, { maxLength: 4 }),
    mode: fc.constantFrom("write" as const, "deferred" as const),
  }),
  fc.record({
    kind: fc.constant("batch" as const),
    statements: fc.array(reading, { maxLength: 4 }),
    mode: fc.constant("read" as const),
  }),
  // Statements that are issued at once take effect in that order.
  fc.record({
    kind: fc.constant("together" as const),
    calls: fc.array(executed, { maxLength: 4 }),
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
type Call =
  | (typeof executed extends fc.Arbitrary<infer T> ? T : never)
  | (typeof call extends fc.Arbitrary<infer T> ? T : never);

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
    case "together":
      return Promise.all(each.calls.map((one) => perform(client, one)));
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

/** Calls that stand between others: of the client, of a transaction that writes, and of one that reads. */
const interleaved = fc.array(
  fc.record({
    by: fc.constantFrom("client", "writer", "reader"),
    does: fc.constantFrom("select", "insert", "batch", "end", "rollback", "close the client"),
  }),
  { minLength: 2, maxLength: 14 },
);

/** Plays them; what would wait for another of them is left out. */
async function interleave(client: Client, calls: readonly Interleaved[]): Promise<unknown[]> {
  const open: Partial<Record<Interleaved["by"], Transaction>> = {};
  const answers: unknown[] = [];
  const count = "select count(*) as n, max(id) as m from t";
  const insert = "insert into t (a) values (1)";
  for (const { by, does } of calls) {
    if (by === "client") {
      if (does === "close the client") client.close();
      else if (does === "batch")
        answers.push(await outcome(() => client.batch([count, count], "read")));
      else if (does === "insert" && open.writer === undefined)
        answers.push(await outcome(() => client.execute(insert)));
      else answers.push(await outcome(() => client.execute(count)));
      continue;
    }
    const transaction = open[by];
    if (transaction === undefined) {
      const mode = by === "writer" ? "write" : "read";
      answers.push(await outcome(async () => void (open[by] = await client.transaction(mode))));
      continue;
    }
    const writes = by === "writer" && does !== "select";
    if (does === "end") answers.push(await outcome(() => transaction.commit()));
    else if (does === "rollback") answers.push(await outcome(() => transaction.rollback()));
    else if (does === "batch")
      answers.push(await outcome(() => transaction.batch([writes ? insert : count, count])));
    else answers.push(await outcome(() => transaction.execute(writes ? insert : count)));
    answers.push(transaction.closed);
    if (transaction.closed) delete open[by];
  }
  for (const transaction of Object.values(open)) transaction.close();
  answers.push(client.closed);
  return answers;
}
type Interleaved = typeof interleaved extends fc.Arbitrary<(infer T)[]> ? T : never;

test("interleaved transactions are answered as @libsql/client answers them", async () => {
  const folder = await temporaryFolder();
  let number = 0;
  try {
    await fc.assert(
      fc.asyncProperty(interleaved, async (calls) => {
        number += 1;
        const setup =
          "pragma journal_mode = wal; create table t (id integer primary key, a); insert into t (a) values (1)";
        const [ours, theirs] = await Promise.all(
          [createClient, createOther].map(async (create, index) => {
            const client = create({ url: folder.database(`${index}-${number}.db`) });
            await client.executeMultiple(setup);
            const answers = await interleave(client, calls);
            client.close();
            return answers;
          }),
        );
        expect(ours).toEqual(theirs);
      }),
      { ...seeded, numRuns: Number(process.env["DIFFERENTIAL_RUNS"] ?? 50) },
    );
  } finally {
    await folder.remove();
  }
}, 600_000);

/** The connections of a pool each have their own temporary tables, attached databases and last row id. */
const dependsOnConnection = (text: string) =>
  ownTables.includes(text) || /last_insert_rowid/.test(text);

function withoutConnectionState(each: Call): Call {
  const isKept = ({ sql: text }: { readonly sql: string }) => !dependsOnConnection(text);
  switch (each.kind) {
    case "script":
      return each;
    case "execute":
      return isKept(each.statement) ? each : { kind: "batch", statements: [], mode: "read" };
    case "together":
      return { ...each, calls: each.calls.filter((one) => isKept(one.statement)) };
    case "batch":
      return { ...each, statements: each.statements.filter(isKept) };
    default:
      return { ...each, statements: each.statements.filter(isKept) };
  }
}

/** The last row id of a statement that inserts nothing is that of its connection. */
function forgetRowIds(answer: unknown): void {
  if (typeof answer !== "object" || answer === null) return;
  if ("lastInsertRowid" in answer) answer.lastInsertRowid = undefined;
  for (const each of Object.values(answer)) forgetRowIds(each);
}

test.each([
  ["one connection", 1],
  ["a pool", 20],
])(
  "random calls are answered as @libsql/client answers them on %s",
  async (_, concurrency) => {
    const folder = await temporaryFolder();
    let number = 0;
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 8 }), async (generated) => {
          number += 1;
          const calls = concurrency === 1 ? generated : generated.map(withoutConnectionState);
          const ours: Client = createClient(folder.database(`ours-${number}.db`));
          const theirs = createOther({ url: folder.database(`theirs-${number}.db`), concurrency });
          const setup =
            "create table t (id integer primary key, a, b text); create table u (id unique, t references t (id)); insert into t (a) values (1)";
          for (const client of [ours, theirs]) await client.executeMultiple(setup);
          for (const each of calls) {
            const [mine, other] = [await perform(ours, each), await perform(theirs, each)];
            if (concurrency > 1) for (const answer of [mine, other]) forgetRowIds(answer);
            expect(mine).toEqual(other);
          }
          ours.close();
          theirs.close();
        }),
        { ...seeded, numRuns: Number(process.env["DIFFERENTIAL_RUNS"] ?? 50) },
      );
    } finally {
      await folder.remove();
    }
  },
  600_000,
);
