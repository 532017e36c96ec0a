import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "drizzle-orm";
import {
  check as checkConstraint,
  index,
  integer,
  sqliteTable,
  sqliteView,
  text as textColumn,
} from "drizzle-orm/sqlite-core";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "drizzle-kit/api";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/errors.ts";
import { checkMigrations } from "../../src/migrations/check/check.ts";
import { recordMigrationHashes } from "../../src/migrations/check/migration-folder.ts";
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
    { tag: "0000_first", snapshot: first, statements: await generateSQLiteMigration(empty, first) },
    {
      tag: "0001_second",
      snapshot: second,
      statements: await generateSQLiteMigration(first, second),
    },
  ];
  await cp(migrationsFolder, folder, { recursive: true });
  for (const name of await readdir(folder, { recursive: true })) {
    if (/\.(sql|json)$/.test(name)) await rm(join(folder, name));
  }
  for (const [idx, { tag, snapshot, statements }] of steps.entries()) {
    await write(`${tag}.sql`, statements.join("\n--> statement-breakpoint\n"));
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
    await rm(join(folder, "_hashes.json"));
    const [problem, ...others] = await check();
    expect(others).toEqual([]);
    expect(problem).toMatchObject({
      code: "MIGRATION_NOT_RECORDED",
      file: "_hashes.json",
      message: expect.stringMatching(/^2 migrations have no hash/),
      remedy: "run `gorkflow check --record` once, and commit _hashes.json",
    });
    expect(await recordMigrationHashes(folder)).toEqual(["0000_first", "0001_second"]);
    expect(await check()).toEqual([]);
  });

  test("recording again does not hide an edit", async () => {
    await edit("0000_first.sql", (text) => `${text} -- edited`);
    expect(await recordMigrationHashes(folder)).toEqual([]);
    const [problem] = await check();
    expect(problem).toMatchObject({
      code: "MIGRATION_EDITED",
      remedy: expect.stringContaining("`gorkflow check --record 0000_first` records it again"),
    });
  });

  test("an edited migration that is named is recorded again, alone", async () => {
    await edit("0000_first.sql", (text) => `${text} -- edited`);
    await edit("0001_second.sql", (text) => `${text} -- edited`);
    expect(await recordMigrationHashes(folder, { again: ["0001_second"] })).toEqual([
      "0001_second",
    ]);
    expect(await codes()).toEqual(["MIGRATION_EDITED"]);
    await expect(recordMigrationHashes(folder, { again: ["0009_other"] })).rejects.toThrow(
      /again: names 0009_other/,
    );
  });

  test("a template of `generate --custom` is recorded when its SQL is written", async () => {
    const journal = JSON.parse(await read("meta/_journal.json")) as { entries: object[] };
    journal.entries.push({ idx: 2, version: "6", when: 1002, tag: "0002_custom" });
    await write("meta/_journal.json", JSON.stringify(journal));
    const second = JSON.parse(await read("meta/0001_snapshot.json")) as { id: string };
    const custom = { ...second, id: "custom", prevId: second.id };
    await write("meta/0002_snapshot.json", JSON.stringify(custom));
    await write("0002_custom.sql", "-- Custom SQL migration file, put your code below! --");
    expect(await recordMigrationHashes(folder)).toEqual([]);
    expect(await codes()).toEqual(["MIGRATION_NOT_RECORDED", "STATEMENT_EMPTY"]);
    await write("0002_custom.sql", "update users set age = 1;");
    expect(await recordMigrationHashes(folder)).toEqual(["0002_custom"]);
    expect(await check()).toEqual([]);
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
    expect(await codes()).toEqual(["SNAPSHOT_MISSING"]);
  });

  test("a snapshot that was replaced by another", async () => {
    await edit("meta/0000_snapshot.json", (text) => text.replace(/"id":"[^"]*"/, '"id":"other"'));
    expect(await check()).toMatchObject([
      {
        code: "SNAPSHOT_CHAIN_BROKEN",
        file: "meta/0001_snapshot.json",
        message: expect.stringContaining("deleted or replaced"),
      },
    ]);
  });

  test("a project that began with `drizzle-kit pull`", async () => {
    await edit("meta/0000_snapshot.json", (text) =>
      text.replace(/"prevId":"[^"]*"/, '"prevId":""'),
    );
    expect(await check()).toEqual([]);
    await edit("meta/0001_snapshot.json", (text) =>
      text.replace(/"prevId":"[^"]*"/, '"prevId":""'),
    );
    expect(await codes()).toEqual(["SNAPSHOT_CHAIN_BROKEN"]);
  });

  test("two migrations that were generated side by side", async () => {
    const snapshot = JSON.parse(await read("meta/0001_snapshot.json")) as { prevId: string };
    snapshot.prevId = "00000000-0000-0000-0000-000000000000";
    await write("meta/0001_snapshot.json", JSON.stringify(snapshot));
    expect(await check()).toMatchObject([
      { code: "SNAPSHOT_CHAIN_BROKEN", message: expect.stringContaining("side by side") },
    ]);
  });

  test("a snapshot with conflict markers", async () => {
    await edit("meta/0000_snapshot.json", (text) => `<<<<<<< ours\n${text}`);
    expect(await check()).toMatchObject([
      { code: "SNAPSHOT_UNREADABLE", message: expect.stringContaining("conflict markers") },
    ]);
  });

  test("a journal with the conflict markers of a merge is the only problem, and the steps name the files", async () => {
    const entry = (tag: string) => `{ "idx": 1, "version": "6", "when": 1001, "tag": "${tag}" }`;
    const conflict = (ours: string, theirs: string) =>
      `<<<<<<< HEAD\n${ours}\n||||||| base\n=======\n${theirs}\n>>>>>>> feature\n`;
    await write(
      "meta/_journal.json",
      `{ "version": "7", "dialect": "sqlite", "entries": [{ "idx": 0, "version": "6", "when": 1000, "tag": "0000_first" },
${conflict(entry("0001_second"), entry("0001_other"))}] }`,
    );
    await write("0001_other.sql", "create table other (id integer)");
    await edit("meta/0001_snapshot.json", (text) => conflict(text, text));
    await edit("_hashes.json", (text) => conflict(text, text));
    const problems = await check();
    expect(problems.map(({ code, file }) => `${code} ${file}`)).toEqual([
      "JOURNAL_UNREADABLE meta/_journal.json",
    ]);
    expect(problems[0]?.remedy).toMatch(
      /^1\. choose .* \(one has 0001_second, the other 0001_other\); 2\. keep that side alone in meta\/_journal\.json, _hashes\.json, meta\/0001_snapshot\.json; 3\. delete .*0001_second\.sql or 0001_other\.sql.*; 4\. `drizzle-kit generate`.*; 5\. `gorkflow check --record`/,
    );
  });

  test("no journal is the only problem", async () => {
    await rename(join(folder, "meta/_journal.json"), join(folder, "meta/journal.json"));
    expect(await codes()).toEqual(["JOURNAL_UNREADABLE"]);
  });
});

describe("a name that the schema gives twice is a problem, and ends no process:", () => {
  const columns = { id: integer("id").primaryKey(), age: integer("age") };
  const withUnique = sqliteTable("members", {
    ...columns,
    name: textColumn("name").unique("taken"),
    mail: textColumn("mail").unique("taken"),
  });
  test.each([
    [
      "two checks of a table",
      {
        members: sqliteTable("members", columns, ({ age }) => [
          checkConstraint("adult", sql`${age} > 17`),
          checkConstraint("adult", sql`${age} < 99`),
        ]),
      },
      "more than one check called adult in members",
    ],
    [
      "two views",
      {
        a: sqliteView("old").as((query) => query.select().from(users)),
        b: sqliteView("old").as((query) => query.select().from(notes)),
      },
      "more than one table or view called old",
    ],
    ["two unique constraints", { withUnique }, "called taken (in members)"],
    [
      "two tables",
      { a: sqliteTable("Same", columns), b: sqliteTable("same", columns) },
      "more than one table or view called same",
    ],
    [
      "indexes of two tables",
      {
        a: sqliteTable("a", columns, ({ age }) => [index("by_age").on(age)]),
        b: sqliteTable("b", columns, ({ age }) => [index("by_age").on(age)]),
      },
      "called by_age (in b)",
    ],
  ] as [string, Record<string, unknown>, string][])("%s", async (_, schema, message) => {
    const problems = await check({ users, notes, ...schema });
    expect(problems).toMatchObject([
      { code: "NAME_TAKEN", message: expect.stringContaining(message) },
    ]);
  });

  test("what two files export is one definition", async () => {
    const view = sqliteView("of_users").as((query) => query.select().from(users));
    const problems = await check({ "a: users": users, "b: users": users, notes, a: view, b: view });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining("view of_users was added"),
    ]);
  });
});

test("a folder that is not there is a typed error", async () => {
  await expect(checkMigrations({ schema: {}, folder: join(folder, "none") })).rejects.toThrow(
    InvalidArgumentError,
  );
});
