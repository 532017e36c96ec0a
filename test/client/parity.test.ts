import { createClient as createOther, type Client } from "@libsql/client";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

type Use = (client: Client) => Promise<unknown>;

const setup = `
  create table items (id integer primary key, text text unique, real real, blob blob, parent integer references items (id));
  insert into items (id, text, real, blob) values (1, 'one', 1.5, x'0102'), (2, 'two', null, null);
  create table log (entry text);
  create trigger note after insert on items begin insert into log values (new.text); end;
`;

/** What both clients must do alike: what they answer, and how they fail. */
const alike: Record<string, Use> = {
  "a row, by position and by name": (db) => db.execute("select id, text from items where id = 1"),
  "rows as lists": async (db) =>
    (await db.execute("select id, text, real from items")).rows.map((row) => [
      Array.from(row),
      Array.prototype.slice.call(row),
      row.length,
      row[0],
      row["text"],
      Object.keys(row),
      { ...row },
      JSON.stringify(row),
    ]),
  "rows as plain objects": async (db) => {
    const { rows } = await db.execute("select id, text, 1 as __proto__ from items");
    return rows.map((row) => {
      const own = Object.getOwnPropertyDescriptors(row);
      row["text"] = "changed";
      return [Object.getPrototypeOf(row) === Object.prototype, own, row[1], structuredClone(row)];
    });
  },
  "columns and their types": async (db) => {
    const { columns, columnTypes } = await db.execute("select *, 1 + 1 as sum from items");
    return { columns, columnTypes };
  },
  "columns of one name": async (db) =>
    (await db.execute("select id, text as id, 3, 4 as length from items")).rows.map((row) => [
      row["id"],
      row[0],
      row[1],
      row[2],
      Object.keys(row),
    ]),
  "no rows": (db) => db.execute("select id from items where id = 99"),
  "positional arguments": (db) =>
    db.execute({ sql: "select ? as a, ?2 as b, ? as c", args: ["x", null, 2.5] }),
  "arguments beside the statement": (db) => db.execute("select text from items where id = ?", [2]),
  "named arguments, with and without prefix": (db) =>
    db.execute({ sql: "select :a as a, @b as b, $c as c", args: { a: 1, "@b": "x", $c: null } }),
  "a missing positional argument": (db) => db.execute({ sql: "select ? as a, ? as b", args: [1] }),
  numbers: (db) =>
    db.execute({
      sql: "select ? as a, ? as b, typeof(?) as c, ? || '' as d",
      args: [1, -0.5, 1, 1],
    }),
  bigints: (db) => db.execute({ sql: "select ? as a, typeof(?) as b", args: [5n, 5n] }),
  booleans: (db) => db.execute({ sql: "select ? as a, ? as b", args: [true, false] }),
  dates: (db) => db.execute({ sql: "select ? as a", args: [new Date(1_700_000_000_123)] }),
  bytes: async (db) => {
    const { rows } = await db.execute({
      sql: "select ? as a, ? as b, ? as c, blob from items where id = 1",
      args: [
        new Uint8Array([1, 2, 3]).subarray(1),
        new Uint8Array([4, 5]).buffer,
        new Uint8Array(),
      ],
    });
    return Object.values(rows[0] ?? {}).map((value) => [
      value instanceof ArrayBuffer,
      [...new Uint8Array(value as ArrayBuffer)],
    ]);
  },
  text: (db) => db.execute({ sql: "select ? as a", args: ["äß漢字🎉'\"\n\\"] }),
  "an integer that a number cannot hold": (db) => db.execute("select 9007199254740993 as a"),
  "a bigint of more than 64 bits": (db) => db.execute({ sql: "select ?", args: [2n ** 64n] }),
  "a number that is not finite": (db) => db.execute({ sql: "select ?", args: [Infinity] }),
  undefined: (db) => db.execute({ sql: "select ?", args: [undefined as never] }),
  "an insert": (db) => db.execute("insert into items (id, text) values (7, 'seven')"),
  "several rows": (db) => db.execute("insert into items (text) values ('a'), ('b'), ('c')"),
  "an update of many": (db) => db.execute("update items set real = 2"),
  "an update of none": (db) => db.execute("update items set real = 2 where id = 99"),
  "a delete": (db) => db.execute("delete from items where id = 1"),
  "what a statement returns": (db) =>
    db.execute("insert into items (id, text) values (8, 'eight') returning id, text"),
  "an upsert": (db) =>
    db.execute(
      "insert into items (id, text) values (1, 'uno') on conflict (id) do update set text = 'uno' returning text",
    ),
  "a common table expression that reads": (db) =>
    db.execute("with x as (select 1 as a) select a from x"),
  "a common table expression that writes": async (db) => [
    await db.execute("with x as (select 20 as a) insert into items (id) select a from x"),
    await db.execute(
      "with x as (select 21 as a) insert into items (id) select a from x returning id",
    ),
  ],
  "a comment before the statement": (db) => db.execute("-- a\n/* b; */ select 1 as a"),
  "a second statement": (db) => db.execute("select 1 as a; select 2 as b"),
  "JSON of a result": async (db) =>
    JSON.stringify(await db.execute("select id, blob, text from items order by id")),
  "a duplicate": (db) => db.execute("insert into items (id) values (1)"),
  "a unique column": (db) => db.execute("insert into items (text) values ('one')"),
  "a foreign key": (db) => db.execute("insert into items (parent) values (99)"),
  "a syntax error": (db) => db.execute("selec 1"),
  "a missing table": (db) => db.execute("select * from missing"),
  "an explanation": async (db) =>
    (await db.execute("explain query plan select * from items where id = 1")).rows.map(
      ({ detail }) => detail,
    ),
  "a pragma": async (db) => (await db.execute("pragma table_info(items)")).rows,
  "a batch": (db) =>
    db.batch(
      ["insert into items (id) values (30)", { sql: "select ? as a", args: ["x"] }],
      "write",
    ),
  "a batch of pairs": (db) => db.batch([["select ? as a", ["x"]], ["select 2 as b"]], "read"),
  "an empty batch": (db) => db.batch([]),
  "a batch that fails": async (db) => [
    await failure(() =>
      db.batch(
        ["insert into items (id) values (31)", "insert into items (id) values (1)"],
        "write",
      ),
    ),
    (await db.execute("select count(*) as n from items")).rows,
  ],
  "a transaction that commits": async (db) => {
    const tx = await db.transaction("write");
    await tx.execute("insert into items (id) values (40)");
    const inside = await tx.batch(["select count(*) as n from items", "select 1 as a"]);
    await tx.executeMultiple(
      "insert into items (id) values (41); insert into items (id) values (42)",
    );
    await tx.commit();
    return [inside, tx.closed, (await db.execute("select count(*) as n from items")).rows];
  },
  "a transaction that rolls back": async (db) => {
    const tx = await db.transaction();
    await tx.execute("delete from items");
    await tx.rollback();
    tx.close();
    return [tx.closed, (await db.execute("select count(*) as n from items")).rows];
  },
  "a failed statement in a transaction": async (db) => {
    const tx = await db.transaction();
    await tx.execute("insert into items (id) values (50)");
    const failed = await failure(() => tx.execute("insert into items (id) values (50)"));
    const batch = await failure(() => tx.batch(["select 1", "insert into items (id) values (50)"]));
    await tx.commit();
    return [failed, batch, (await db.execute("select count(*) as n from items")).rows];
  },
  "a closed transaction": async (db) => {
    const tx = await db.transaction();
    await tx.commit();
    return [await failure(() => tx.execute("select 1")), await failure(() => tx.commit())];
  },
  "savepoints inside a transaction": async (db) => {
    const tx = await db.transaction();
    await tx.execute("savepoint a");
    await tx.execute("insert into items (id) values (60)");
    await tx.execute("rollback to a");
    await tx.execute("release a");
    await tx.commit();
    return (await db.execute("select count(*) as n from items")).rows;
  },
  "a begin by itself": async (db) => [
    await failure(() => db.execute("begin")),
    (await db.execute("select count(*) as n from items")).rows,
    await failure(() => db.execute("commit")),
  ],
  "a script": async (db) => [
    await db.executeMultiple(
      "insert into items (id) values (70); insert into items (id) values (71);",
    ),
    await failure(() =>
      db.executeMultiple("insert into items (id) values (72); insert into items (id) values (1);"),
    ),
    (await db.execute("select id from items where id >= 70 order by id")).rows,
  ],
  "a migration that rebuilds a table": async (db) => {
    await db.execute("insert into items (id, parent) values (80, 1)");
    const results = await db.migrate([
      "create table __new (id integer primary key, text text)",
      "insert into __new select id, text from items",
      "drop table items",
      "alter table __new rename to items",
    ]);
    return [
      results.map(({ rowsAffected }) => rowsAffected),
      (await db.execute("select count(*) as n from items")).rows,
      (await db.execute("pragma foreign_keys")).rows,
    ];
  },
  "a migration that fails": async (db) => [
    await failure(() => db.migrate(["create table more (a)", "insert into missing values (1)"])),
    await failure(() => db.execute("select * from more")),
  ],
  closing: async (db) => {
    const before = db.closed;
    db.close();
    db.close();
    return [before, db.closed, await failure(() => db.execute("select 1")), db.protocol];
  },
  reconnecting: async (db) => {
    db.close();
    // The interface says void; both of the clients have it return a promise.
    await Promise.resolve(db.reconnect());
    return [db.closed, (await db.execute("select count(*) as n from items")).rows];
  },
};

/** What is different, on purpose: what ours does, and what the other does. */
const different: Record<
  string,
  { readonly use: Use; readonly ours: unknown; readonly theirs: unknown }
> = {
  "a transaction for reading refuses to write": {
    use: async (db) => {
      const tx = await db.transaction("read");
      const failed = await failure(() => tx.execute("insert into items (id) values (90)"));
      tx.close();
      return (failed as { code?: string } | null)?.code ?? null;
    },
    ours: "SQLITE_READONLY",
    theirs: null,
  },
  "concurrent transactions wait for each other": {
    use: async (db) => {
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, async () => {
          const tx = await db.transaction("write");
          await tx.execute("update items set real = coalesce(real, 0) + 1 where id = 2");
          await tx.commit();
        }),
      );
      return results.filter(({ status }) => status === "fulfilled").length;
    },
    ours: 5,
    theirs: 1,
  },
};

async function failure(use: () => Promise<unknown>): Promise<unknown> {
  try {
    await use();
    return null;
  } catch (error) {
    return describeError(error);
  }
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message } = error;
  const { code, extendedCode, rawCode, statementIndex } = error as Error & Record<string, unknown>;
  return { name, message, code, extendedCode, rawCode, statementIndex };
}

async function outcome(use: Use, client: Client): Promise<unknown> {
  try {
    return { result: await use(client) };
  } catch (error) {
    return { error: describeError(error) };
  }
}

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

describe.each(["file", "memory"])("%s: does what @libsql/client does with", (kind) => {
  const prepare = async (make: (url: string) => Client, name: string): Promise<Client> => {
    const client = make(kind === "file" ? folder.database(`${name}.db`) : ":memory:");
    await client.executeMultiple(setup);
    return client;
  };

  test.each(Object.entries(alike))("%s", async (_, use) => {
    const ours = await prepare((url) => createClient(url), "ours");
    const theirs = await prepare((url) => createOther({ url }), "theirs");
    expect(await outcome(use, ours)).toEqual(await outcome(use, theirs));
    ours.close();
    theirs.close();
  });

  test.each(["number", "bigint", "string"] as const)("integers read as %s", async (intMode) => {
    const use: Use = (db) =>
      db.execute({ sql: "select id, ? as yes, 2.5 as real from items where id = 1", args: [true] });
    const ours = await prepare((url) => createClient({ url, intMode }), "ours");
    const theirs = await prepare((url) => createOther({ url, intMode }), "theirs");
    expect(await outcome(use, ours)).toEqual(await outcome(use, theirs));
    ours.close();
    theirs.close();
  });
});

describe("differs on purpose:", () => {
  test.each(Object.entries(different))("%s", async (_, { use, ours, theirs }) => {
    const our = createClient(folder.database("ours.db"));
    const their = createOther({ url: folder.database("theirs.db") });
    for (const client of [our, their]) await client.executeMultiple(setup);
    expect(await use(our)).toEqual(ours);
    expect(await use(their)).toEqual(theirs);
    our.close();
    their.close();
  });

  test("in memory, what comes while a transaction is open waits for its end", async () => {
    const use = async (client: Client): Promise<unknown> => {
      await client.executeMultiple(setup);
      const tx = await client.transaction();
      await tx.execute("delete from items");
      const read = outcome((db) => db.execute("select count(*) as n from items"), client);
      setTimeout(() => void tx.rollback(), 20);
      return read;
    };
    expect(await use(createClient(":memory:"))).toMatchObject({ result: { rows: [{ n: 2 }] } });
    expect(await use(createOther({ url: ":memory:" }))).toMatchObject({
      error: { code: "TRANSACTION_ACTIVE" },
    });
  });

  test("a folder that is not there is an error with a code", () => {
    const url = `file:${folder.path}/missing/workflows.db`;
    expect(() => createClient(url)).toThrow(
      expect.objectContaining({ code: "SQLITE_CANTOPEN" }) as Error,
    );
    expect(() => createOther({ url })).toThrow(expect.objectContaining({ code: "" }) as Error);
  });

  test("a key for a database in memory is refused, not ignored", () => {
    const config = { url: ":memory:", encryptionKey: "secret" };
    expect(() => createClient(config)).toThrow(/config\.encryptionKey/);
    expect(() => createOther(config)).not.toThrow();
  });
});
