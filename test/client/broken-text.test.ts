import { execFileSync } from "node:child_process";
import { createClient as createLibsqlClient } from "@libsql/client";
import { eq, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { afterEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { workflowRuns } from "../../src/schema/index.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { attempt } from "../equivalence/operations.ts";
import { temporaryFolder } from "../support/temporary.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function openStore(place: string) {
  const folder = await temporaryFolder();
  const store = await LibSQLStore.open(place === "memory" ? ":memory:" : folder.database());
  cleanups.push(
    () => folder.remove(),
    () => store.close(),
  );
  await store.createRun({ runId: "r1", workflowId: "w", input: { é: "漢🎉" }, tags: { a: "b" } });
  await store.createRun({ runId: "r2", workflowId: "w", resourceId: "\uFFFD" });
  return store;
}

/** Bytes that are not UTF-8: each alone, cut short, overlong, a surrogate, beyond Unicode. */
const broken = ["22ff22", "228022", "22e28222", "22c0af22", "22eda08022", "22f490808022", "e9"];

describe.each(["a file", "memory"])("text that is not UTF-8, on %s", (place) => {
  test.each(broken)("is named as corrupt, whatever column has it: %s", async (bytes) => {
    const store = await openStore(place);
    for (const column of ["input", "output", "error", "tags", "workflow_id", "resource_id"]) {
      await store.db.run(
        sql.raw(
          `update workflow_runs set ${column} = cast(x'${bytes}' as text) where run_id = 'r1'`,
        ),
      );
      expect(await attempt(() => store.getRun("r1"))).toMatchObject({
        error: { code: "CORRUPT_ROW", column },
      });
      expect((await store.getRun("r2")).resourceId).toBe("\uFFFD");
      const { runs, corrupt } = await store.listRuns({ payloads: true });
      expect(runs.map(({ runId }) => runId)).toEqual(["r2"]);
      expect(corrupt).toMatchObject([{ column, key: { run_id: "r1" } }]);
      const bundles = await store.readBundles({ limit: 1 });
      expect(bundles.bundles.length + bundles.corrupt.length).toBe(1);
      await store.db.run(
        sql.raw(
          `update workflow_runs set ${column} = ${column === "workflow_id" ? "'w'" : "null"} where run_id = 'r1'`,
        ),
      );
    }
    expect((await store.getRun("r1")).workflowId).toBe("w");
  });

  test.each([
    "update workflow_state set value = cast(x'22ff22' as text)",
    "a script",
    "a transaction",
  ])("is found in the children, too: %s", async (way) => {
    const store = await openStore(place);
    await store.saveState("r1", "k", 1);
    await store.saveStepOutput("r1", "s", 1);
    const text =
      "update workflow_state set value = cast(x'22ff22' as text); update step_outputs set output = json_extract('\"\\ud800\"', '$')";
    const { $client: client } = store.db;
    if (way === "a transaction") {
      const transaction = await client.transaction("write");
      for (const each of text.split(";")) await transaction.execute(each);
      await transaction.commit();
    } else await client.executeMultiple(text);
    expect(await attempt(() => store.loadState("r1", "k"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    expect(await attempt(() => store.loadStepOutput("r1", "s"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    expect((await store.readBundles()).corrupt).toHaveLength(1);
  });

  test("is told apart from text with a NUL and from every legal text", async () => {
    const store = await openStore(place);
    await store.db.run(
      sql.raw("update workflow_runs set tags = 'a' || char(0) || 'b' where run_id = 'r1'"),
    );
    expect(await attempt(() => store.getRun("r1"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    await store.db.run(
      sql.raw(`update workflow_runs set tags = '{"a":"' || char(233) || '"}' where run_id = 'r1'`),
    );
    const run = await store.getRun("r1");
    expect([run.input, run.tags, run.output]).toEqual([{ é: "漢🎉" }, { a: "é" }, null]);
  });
});

const breakRun = "update workflow_runs set input = cast(x'22ff22' as text) where run_id = 'r1'";

/** Who else may write to the file of a store. */
const others: Readonly<Record<string, (path: string) => Promise<void>>> = {
  "another process": async (path) => {
    const program = `new (require("libsql"))(${JSON.stringify(path)}).exec(${JSON.stringify(breakRun)})`;
    execFileSync(process.execPath, ["--input-type=commonjs", "--eval", program]);
  },
  "another client of ours": async (path) => {
    const client = createClient({ path });
    await client.execute(breakRun);
    client.close();
  },
  "@libsql/client": async (path) => {
    const client = createLibsqlClient({ url: `file:${path}` });
    await client.execute(breakRun);
    client.close();
  },
};

describe.each(Object.keys(others))("text that %s has broken", (other) => {
  test.each(["before the store is opened", "while it is open"])("%s is named", async (when) => {
    const folder = await temporaryFolder();
    const path = `${folder.path}/a.db`;
    cleanups.push(() => folder.remove());
    let store = await LibSQLStore.open(`file:${path}`);
    await store.createRun({ runId: "r1", workflowId: "w", input: 1 });
    await store.createRun({ runId: "r2", workflowId: "w", input: 2 });
    if (when !== "while it is open") await store.close();
    await others[other]?.(path);
    if (when !== "while it is open") store = await LibSQLStore.open(`file:${path}`);
    cleanups.push(() => store.close());

    const error = { code: "CORRUPT_ROW", column: "input" };
    expect(await attempt(() => store.getRun("r1"))).toMatchObject({ error });
    expect(await store.getRun("r2")).toMatchObject({ input: 2 });
    expect(await store.listRuns({ payloads: true })).toMatchObject({
      runs: [{ runId: "r2" }],
      corrupt: [{ column: "input" }],
    });
    expect(await store.updateRun("r1", { progress: 0.5 })).toMatchObject({ progress: 0.5 });
    await store.transaction(async (tx) => {
      expect(await attempt(() => tx.getRun("r1"))).toMatchObject({ error });
    });
    await store.db.transaction(async (tx) => {
      const inside = store.withTransaction(tx);
      expect(await attempt(() => inside.getRun("r1"))).toMatchObject({ error });
    });
  });
});

describe.each([100, 2000])("a run in whose texts a run before had %d characters", (length) => {
  const cells = {
    "1": "1",
    "1.5": "1.5",
    null: "null",
    "an empty text": "''",
    "a short text": `'{"a":"\uFFFD"}'`,
    "a long text": `'"${"é".repeat(5000)}"'`,
    "a text with NUL": "'{}' || char(0)",
    "a blob": "x'7b7d'",
    "broken text": "cast(x'22ff22' as text)",
  };

  test("is read as from a new connection, whatever its columns have", async () => {
    const folder = await temporaryFolder();
    const url = folder.database();
    const store = await LibSQLStore.open(url);
    cleanups.push(
      () => folder.remove(),
      () => store.close(),
    );
    const text = "x".repeat(length);
    await store.createRun({ runId: "r1", workflowId: "w", input: text, output: text });
    for (const column of ["input", "output", "resource_id", "progress"]) {
      for (const [name, cell] of Object.entries(cells)) {
        await store.createRun({ runId: `${column} ${name}`, workflowId: "w" });
        await store.db.run(
          sql.raw(
            `update or ignore workflow_runs set ${column} = ${cell} where run_id = '${column} ${name}'`,
          ),
        );
        await store.getRun("r1");
        const read = await attempt(() => store.getRun(`${column} ${name}`));
        const other = await LibSQLStore.open(url);
        expect(read, name).toEqual(await attempt(() => other.getRun(`${column} ${name}`)));
        await other.close();
        expect(await store.getRun("r1")).toMatchObject({ input: text, output: text });
      }
    }
  });
});

describe("an app's own query of text that is not UTF-8", () => {
  const notUtf8 = { code: "TEXT_NOT_UTF8" };

  async function openApp() {
    const client = createClient(":memory:");
    cleanups.push(async () => client.close());
    await client.executeMultiple(
      "create table t (id integer primary key, a text, b, c integer);" +
        "insert into t values (1, 'one', 1, 1), (2, cast(x'ff41' as text), 2, 2), (3, 'three', 3, 3)",
    );
    return client;
  }

  test.each([
    "select a from t",
    "select * from t order by id desc",
    "with x as (select a from t) select upper(a) as a from x",
    "select group_concat(a, '') as a from t -- a comment",
    "select cast(x'ff' as text) as a;",
    "values (1), (cast(x'ff' as text))",
    "update t set b = 5 returning id, a",
    "update t set b = 5 returning *",
    "delete from t where id = 2 returning a as name, id + 1 as next",
  ])("fails, and the process lives: %s", async (statement) => {
    const client = await openApp();
    const failed = await client.execute(statement).catch((error: unknown) => error);
    expect(failed).toMatchObject(notUtf8);
    expect((await client.execute("select a from t where id = 1")).rows).toEqual([{ a: "one" }]);
  });

  test("fails in a batch, in a transaction and in a typed select", async () => {
    const client = await openApp();
    await expect(client.batch(["select a from t"], "read")).rejects.toMatchObject(notUtf8);
    const transaction = await client.transaction();
    await expect(transaction.execute("select a from t")).rejects.toMatchObject(notUtf8);
    transaction.close();
    const store = await openStore("memory");
    const db = drizzle({ client: store.db.$client });
    await db.run(sql.raw(breakRun));
    const select = db.select().from(workflowRuns).where(eq(workflowRuns.runId, "r1"));
    await expect(select).rejects.toMatchObject({ cause: notUtf8 });
  });

  test("fails where a column of numbers has such a text, and reads it as a blob", async () => {
    const client = await openApp();
    await client.execute("update t set c = cast(x'ff41' as text) where id = 1");
    await expect(client.execute("select c from t")).rejects.toMatchObject(notUtf8);
    const { rows } = await client.execute("select cast(a as blob) as a from t where id = 2");
    expect(rows).toEqual([{ a: new Uint8Array([0xff, 0x41]).buffer }]);
  });

  test("does not change the answer for legal cells", async () => {
    const client = await openApp();
    await client.executeMultiple(
      "delete from t; insert into t values (1, 'it''s \"é\" \\ \uFFFD', 0.1 + 0.2, 1.5), (2, '', null, null), " +
        "(3, x'31', x'00ff', x'13'), (4, 'a' || char(0) || 'b', 9e999, -9e999), (5, '[1]', 2, 'text')",
    );
    const plain = createLibsqlClient({ url: ":memory:" });
    cleanups.push(async () => plain.close());
    const rows = async (of: typeof plain | typeof client) =>
      (await of.execute("select a, b, c, a || 'x' as d, json('[1]') as e from t order by id desc"))
        .rows;
    await plain.executeMultiple(
      "create table t (id integer primary key, a text, b, c integer);" +
        "insert into t values (1, 'it''s \"é\" \\ \uFFFD', 0.1 + 0.2, 1.5), (2, '', null, null), " +
        "(3, x'31', x'00ff', x'13'), (4, 'a' || char(0) || 'b', 9e999, -9e999), (5, '[1]', 2, 'text')",
    );
    expect(await rows(client)).toEqual(await rows(plain));
  });
});

test.each(["UTF-16le", "UTF-16be"])(
  "text of a database in %s is read unchanged",
  async (encoding) => {
    const folder = await temporaryFolder();
    cleanups.push(() => folder.remove());
    const other = createLibsqlClient({ url: folder.database() });
    await other.execute(`pragma encoding = '${encoding}'`);
    await other.execute("create table app (x text, n integer)");
    await other.execute({ sql: "insert into app values (?, 1)", args: ["é漢🎉"] });
    other.close();
    const client = createClient(folder.database());
    expect((await client.execute("select x, n from app")).rows).toEqual([{ x: "é漢🎉", n: 1 }]);
    const returned = await client.execute("update app set n = 2 returning x");
    expect(returned.rows).toEqual([{ x: "é漢🎉" }]);
    client.close();
  },
);

test.each(["a file", "memory"])(
  "an encoding that is set after a first query is seen, in %s",
  async (place) => {
    const folder = await temporaryFolder();
    cleanups.push(() => folder.remove());
    const client = createClient(place === "memory" ? ":memory:" : folder.database());
    expect((await client.execute("select 'é' as x")).rows).toEqual([{ x: "é" }]);
    await client.execute("pragma encoding = 'UTF-16le'");
    await client.execute("create table app (x text)");
    await client.execute({ sql: "insert into app values (?)", args: ["é漢🎉"] });
    expect((await client.execute("select x, 'é' as y from app")).rows).toEqual([
      { x: "é漢🎉", y: "é" },
    ]);
    expect((await client.execute("select 'é' as x")).rows).toEqual([{ x: "é" }]);
    client.close();
  },
);

describe("rows of long texts", () => {
  async function openTexts() {
    const client = createClient(":memory:");
    cleanups.push(async () => client.close());
    await client.execute("create table t (a text, b text)");
    const args = ["a".repeat(5000), "b".repeat(5000)];
    await client.execute({ sql: "insert into t values (?, ?)", args });
    return client;
  }

  test.each([1, 2, 5, 1.5, null, "x", "", "a\0b"])(
    "keep the type of a cell of a union: %j",
    async (value) => {
      const client = await openTexts();
      const plain = createLibsqlClient({ url: ":memory:" });
      cleanups.push(async () => plain.close());
      const { rows } = await plain.execute({ sql: "select ? as a", args: [value] });
      // The first query makes the next one read long texts.
      for (const args of [["x"], [value]]) {
        const result = await client.execute({ sql: "select a from t union all select ?", args });
        if (args[0] === value) expect(result.rows[1]).toEqual(rows[0]);
      }
    },
  );

  const texts = [
    null,
    "",
    "x",
    "long ".repeat(1000),
    "\0",
    "\0x",
    "x\0",
    "x\0y",
    "long\0".repeat(1000),
  ];
  const upToNul = (text: string | null) => text?.split("\0")[0] ?? null;

  test("keep each text in its column, beside an empty one and one that has a NUL", async () => {
    const client = await openTexts();
    const select = "select a, b from t";
    for (const a of texts) {
      for (const b of texts) {
        // The long row of this table decides how the next one is read.
        await client.execute(select);
        await client.execute({ sql: "update t set a = ?, b = ?", args: [a, b] });
        expect((await client.execute(select)).rows).toEqual([{ a: upToNul(a), b: upToNul(b) }]);
        await client.execute("update t set a = 'a', b = hex(zeroblob(5000))");
      }
    }
  });

  test("keep each text of a single run in its column", async () => {
    const store = await openStore("memory");
    const long = JSON.stringify("long".repeat(100));
    await store.createRun({
      runId: "long",
      workflowId: "w",
      resourceId: "r".repeat(200),
      input: long,
    });
    for (const input of ["''", "'1'", `'${long}'`, `'1' || char(0) || '${long}'`]) {
      for (const resource of texts) {
        await store.getRun("long");
        await store.db.run(
          sql`update workflow_runs set input = ${sql.raw(input)}, resource_id = ${resource} where run_id = 'r1'`,
        );
        const read = await attempt(async () => (await store.getRun("r1")).resourceId);
        if (input !== "'1'" && input !== `'${long}'`) {
          expect(read).toMatchObject({ error: { code: "CORRUPT_ROW", column: "input" } });
        } else expect(read).toEqual({ answer: resource });
      }
    }
  });

  const maybe = (column: string) =>
    `(select ${column} from t where random() > 0 and o.a <> '') as ${column}`;

  test("have each cell of a subquery in its own column, computed once", async () => {
    const client = await openTexts();
    for (let turn = 0; turn < 300; turn++) {
      const [row] = (await client.execute(`select ${maybe("a")}, ${maybe("b")} from t o`)).rows;
      expect([null, "a"]).toContain((row?.["a"] as string | null)?.[0] ?? null);
      expect([null, "b"]).toContain((row?.["b"] as string | null)?.[0] ?? null);
    }
  });

  test.each(["a query", "a view"])(
    "have each cell in its own column in the first row of %s",
    async (kind) => {
      const client = await openTexts();
      const query = `select ${maybe("a")}, ${maybe("b")} from t o`;
      await client.execute(`create view chances as ${query}`);
      const asked = kind === "a view" ? "select a, b from chances" : query;
      for (let turn = 0; turn < 300; turn++) {
        const [result] = await client.read([{ sql: asked, args: [], single: true }]);
        const [a, b] = result?.rows[0] as (string | null)[];
        expect([null, "a"]).toContain(a?.[0] ?? null);
        expect([null, "b"]).toContain(b?.[0] ?? null);
      }
    },
  );
});
