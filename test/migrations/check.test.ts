import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { index, integer, sqliteTable, text as textColumn } from "drizzle-orm/sqlite-core";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "drizzle-kit/api";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/errors.ts";
import { checkMigrations } from "../../src/migrations/check.ts";
import { recordMigrationHashes } from "../../src/migrations/migration-folder.ts";
import { migrationsFolder } from "../../src/migrations/migrations-folder.ts";
import * as ownSchema from "../../src/schema/index.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const users = sqliteTable(
  "users",
  {
    id: integer("id").primaryKey(),
    name: textColumn("name").notNull(),
    age: integer("age").notNull().default(0),
  },
  (table) => [index("users_name_idx").on(table.name, table.age)],
);
const notes = sqliteTable("notes", {
  id: integer("id").primaryKey(),
  userId: integer("user_id").references(() => users.id, { onDelete: "cascade" }),
});

let temporary: TemporaryFolder;
let folder: string;

/** A project with two migrations, as drizzle-kit would have left it. */
beforeEach(async () => {
  temporary = await temporaryFolder();
  folder = temporary.path;
  const first = await generateSQLiteDrizzleJson({ users });
  const second = await generateSQLiteDrizzleJson({ users, notes }, first.id);
  const empty = await generateSQLiteDrizzleJson({});
  const steps = [
    { tag: "0000_first", snapshot: first, sql: await generateSQLiteMigration(empty, first) },
    { tag: "0001_second", snapshot: second, sql: await generateSQLiteMigration(first, second) },
  ];
  await cp(migrationsFolder, folder, { recursive: true });
  for (const name of await readdir(folder, { recursive: true })) {
    if (/\.(sql|json)$/.test(name)) await rm(join(folder, name));
  }
  for (const [idx, { tag, snapshot, sql }] of steps.entries()) {
    await write(`${tag}.sql`, sql.join("\n--> statement-breakpoint\n"));
    await write(`meta/000${idx}_snapshot.json`, JSON.stringify(snapshot));
  }
  await write(
    "meta/_journal.json",
    JSON.stringify({
      version: "7",
      dialect: "sqlite",
      entries: steps.map(({ tag }, idx) => ({ idx, version: "6", when: 1000 + idx, tag })),
    }),
  );
  await recordMigrationHashes(folder);
});
afterEach(() => temporary.remove());

const write = (name: string, content: string) => writeFile(join(folder, name), content);
const read = (name: string) => readFile(join(folder, name), "utf8");
const edit = async (name: string, change: (content: string) => string) =>
  write(name, change(await read(name)));
const check = (schema: Record<string, unknown> = { users, notes }) =>
  checkMigrations({ schema, folder });
const codes = async (schema?: Record<string, unknown>) =>
  (await check(schema)).map(({ code }) => code);

test("a project in order has no problems", async () => {
  expect(await check()).toEqual([]);
});

test("this package's own migrations have none", async () => {
  expect(await checkMigrations({ schema: ownSchema, folder: migrationsFolder })).toEqual([]);
});

describe("the schema is ahead of the migrations:", () => {
  const column = { id: integer("id").primaryKey() };
  const columns = {
    ...column,
    name: textColumn("name").notNull(),
    age: integer("age").notNull().default(0),
  };
  const withIndex = (first: "name" | "age", second: "name" | "age") => (table: typeof users) => [
    index("users_name_idx").on(table[first], table[second]),
  ];

  test.each([
    [
      "a column added",
      {
        users: sqliteTable(
          "users",
          { ...columns, more: textColumn("more") },
          withIndex("name", "age") as never,
        ),
      },
      /column users: more was added/,
    ],
    [
      "a column renamed",
      {
        users: sqliteTable(
          "users",
          { ...column, title: textColumn("title").notNull(), age: columns.age },
          (table) => [index("users_name_idx").on(table.title, table.age)],
        ),
      },
      /column users: name was removed/,
    ],
    [
      "another type",
      {
        users: sqliteTable(
          "users",
          { ...columns, age: textColumn("age").notNull().default("0") },
          withIndex("name", "age") as never,
        ),
      },
      /column users: age has another .*type/,
    ],
    [
      "another default",
      {
        users: sqliteTable(
          "users",
          { ...columns, age: integer("age").notNull().default(1) },
          withIndex("name", "age") as never,
        ),
      },
      /column users: age has another default/,
    ],
    [
      "an index reordered",
      { notes, users: sqliteTable("users", columns, withIndex("age", "name") as never) },
      /index users: users_name_idx has another columns/,
    ],
    [
      "an index dropped",
      { notes, users: sqliteTable("users", columns) },
      /users_name_idx was removed/,
    ],
    ["a table dropped", { users }, /table notes was removed/],
    ["a table added", { users, notes, more: sqliteTable("more", column) }, /table more was added/],
    [
      "another foreign key",
      {
        users,
        notes: sqliteTable("notes", {
          id: integer("id").primaryKey(),
          userId: integer("user_id").references(() => users.id),
        }),
      },
      /foreign key notes/,
    ],
  ] as [string, Record<string, unknown>, RegExp][])("%s", async (_, schema, message) => {
    const problems = await check(schema);
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(["SCHEMA_AHEAD"]));
    expect(problems.map((problem) => problem.message).join("\n")).toMatch(message);
  });
});

describe("the files disagree:", () => {
  test("an SQL file that is not in the journal", async () => {
    await write("0002_forgotten.sql", "create table forgotten (id integer)");
    expect(await check()).toMatchObject([
      { code: "SQL_NOT_IN_JOURNAL", file: "0002_forgotten.sql" },
    ]);
  });

  test("a journal entry without its file", async () => {
    await rm(join(folder, "0001_second.sql"));
    expect(await codes()).toEqual(["SQL_MISSING"]);
  });

  test("an older migration after a newer one", async () => {
    await edit("meta/_journal.json", (text) => text.replace("1001", "999"));
    expect(await codes()).toEqual(["WHEN_NOT_INCREASING"]);
  });

  test("a committed migration that was edited", async () => {
    await edit("0000_first.sql", (text) => text.replace("`age`", "`years`"));
    expect(await check()).toMatchObject([{ code: "MIGRATION_EDITED", file: "0000_first.sql" }]);
  });

  test("line ends of another system are no edit", async () => {
    await edit("0000_first.sql", (text) => text.replaceAll("\n", "\r\n"));
    expect(await check()).toEqual([]);
  });

  test("a committed migration that was removed", async () => {
    const journal = JSON.parse(await read("meta/_journal.json")) as { entries: unknown[] };
    journal.entries.pop();
    await write("meta/_journal.json", JSON.stringify(journal));
    await rm(join(folder, "0001_second.sql"));
    expect(await codes({ users })).toEqual(["MIGRATION_REMOVED"]);
  });

  test("a migration that was never recorded", async () => {
    await rm(join(folder, "meta/_hashes.json"));
    expect(await codes()).toEqual(["MIGRATION_NOT_RECORDED", "MIGRATION_NOT_RECORDED"]);
    expect(await recordMigrationHashes(folder)).toEqual(["0000_first", "0001_second"]);
    expect(await check()).toEqual([]);
  });

  test("recording again does not hide an edit", async () => {
    await edit("0000_first.sql", (text) => `${text} -- edited`);
    expect(await recordMigrationHashes(folder)).toEqual([]);
    expect(await codes()).toEqual(["MIGRATION_EDITED"]);
  });

  test("a missing breakpoint", async () => {
    await edit("0000_first.sql", (text) => text.replace("--> statement-breakpoint", ""));
    expect(await codes()).toEqual(["MIGRATION_EDITED", "BREAKPOINT_MISSING"]);
  });

  test("a part without a statement", async () => {
    await edit("0000_first.sql", (text) => `${text}\n--> statement-breakpoint\n-- nothing`);
    expect(await codes()).toEqual(["MIGRATION_EDITED", "STATEMENT_EMPTY"]);
  });

  test("a snapshot that is missing", async () => {
    await rm(join(folder, "meta/0000_snapshot.json"));
    expect(await codes()).toEqual(["SNAPSHOT_MISSING", "SNAPSHOT_CHAIN_BROKEN"]);
  });

  test("two migrations that were generated side by side", async () => {
    const snapshot = JSON.parse(await read("meta/0001_snapshot.json")) as { prevId: string };
    snapshot.prevId = "00000000-0000-0000-0000-000000000000";
    await write("meta/0001_snapshot.json", JSON.stringify(snapshot));
    expect(await codes()).toEqual(["SNAPSHOT_CHAIN_BROKEN"]);
  });

  test("a snapshot with conflict markers", async () => {
    await edit("meta/0000_snapshot.json", (text) => `<<<<<<< ours\n${text}`);
    expect(await codes()).toContain("SNAPSHOT_UNREADABLE");
  });

  test("a journal with conflict markers, or none", async () => {
    await edit("meta/_journal.json", (text) => `<<<<<<< ours\n${text}`);
    expect(await codes()).toContain("JOURNAL_UNREADABLE");
    await rename(join(folder, "meta/_journal.json"), join(folder, "meta/journal.json"));
    expect(await codes()).toContain("JOURNAL_UNREADABLE");
  });
});

test("a folder that is not there is a typed error", async () => {
  await expect(checkMigrations({ schema: {}, folder: join(folder, "none") })).rejects.toThrow(
    InvalidArgumentError,
  );
});
