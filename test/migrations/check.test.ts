import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sql } from "drizzle-orm";
import * as core from "drizzle-orm/sqlite-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { checkMigrations } from "../../src/migrations/check/check.ts";
import { recordMigrationHashes } from "../../src/migrations/check/migration-folder.ts";
import { migrationsFolder } from "../../src/migrations/migrations-folder.ts";
import * as ownSchema from "../../src/schema/index.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import {
  generateSQLiteDrizzleJson,
  generateSQLiteMigration,
  layout,
} from "./support/drizzle-kit.ts";

const { check: checkConstraint, index, integer, sqliteTable, sqliteView, text: textColumn } = core;

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

const [first, second] = [layout.tag(0, "first"), layout.tag(1, "second")];

/** A project with two migrations, as drizzle-kit would have left it. */
beforeEach(async () => {
  temporary = await temporaryFolder();
  folder = temporary.path;
  const empty = await generateSQLiteDrizzleJson({});
  const one = await generateSQLiteDrizzleJson({ users });
  const two = await generateSQLiteDrizzleJson({ users, notes }, one.id);
  await writeMigration(first, one, await generateSQLiteMigration(empty, one));
  await writeMigration(second, two, await generateSQLiteMigration(one, two));
  await writeJournal([first, second]);
  await recordMigrationHashes(folder);
});
afterEach(() => temporary.remove());

async function write(name: string, content: string): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

async function writeMigration(tag: string, snapshot: object, statements: readonly string[]) {
  await write(layout.sql(tag), statements.join("\n--> statement-breakpoint\n"));
  await write(layout.snapshot(tag), JSON.stringify(snapshot));
}

/** In the layout of drizzle-kit 1.0 the folders are the journal. */
async function writeJournal(tags: readonly string[]) {
  if (isDrizzle1) return;
  const entries = tags.map((tag, idx) => ({ idx, version: "6", when: 1000 + idx, tag }));
  await write("meta/_journal.json", JSON.stringify({ version: "7", dialect: "sqlite", entries }));
}

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
  const withIndex = (one: "name" | "age", two: "name" | "age") => (table: typeof users) => [
    index("users_name_idx").on(table[one], table[two]),
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
      "a default that drizzle-kit cannot write as JSON",
      {
        users: sqliteTable(
          "users",
          { ...column, name: columns.name, age: core.blob("age", { mode: "bigint" }).default(5n) },
          withIndex("name", "age") as never,
        ),
      },
      /column users: age has another .*default/,
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
  test("a journal entry or a folder without its SQL", async () => {
    await rm(join(folder, layout.sql(second)));
    expect(await check()).toMatchObject([{ code: "SQL_MISSING", file: layout.sql(second) }]);
  });

  test("an SQL file that belongs to no migration", async () => {
    await write("0002_forgotten.sql", "create table forgotten (id integer)");
    expect(await check()).toMatchObject([
      { code: "SQL_NOT_IN_JOURNAL", file: "0002_forgotten.sql" },
    ]);
  });

  test("a committed migration that was edited", async () => {
    await edit(layout.sql(first), (text) => text.replace("`age`", "`years`"));
    expect(await check()).toMatchObject([{ code: "MIGRATION_EDITED", file: layout.sql(first) }]);
  });

  test("line ends of another system are no edit", async () => {
    await edit(layout.sql(first), (text) => text.replaceAll("\n", "\r\n"));
    expect(await check()).toEqual([]);
  });

  test("a committed migration that was removed", async () => {
    await writeJournal([first]);
    await rm(join(folder, layout.sql(second)));
    await rm(join(folder, layout.snapshot(second)));
    expect(await check({ users })).toMatchObject([
      { code: "MIGRATION_REMOVED", file: layout.sql(second) },
    ]);
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
    expect(await recordMigrationHashes(folder)).toEqual([first, second]);
    expect(await check()).toEqual([]);
  });

  test("recording again does not hide an edit", async () => {
    await edit(layout.sql(first), (text) => `${text} -- edited`);
    expect(await recordMigrationHashes(folder)).toEqual([]);
    const [problem] = await check();
    expect(problem).toMatchObject({
      code: "MIGRATION_EDITED",
      remedy: expect.stringContaining(`\`gorkflow check --record ${first}\` records it again`),
    });
  });

  test("an edited migration that is named is recorded again, alone", async () => {
    await edit(layout.sql(first), (text) => `${text} -- edited`);
    await edit(layout.sql(second), (text) => `${text} -- edited`);
    expect(await recordMigrationHashes(folder, { again: [second] })).toEqual([second]);
    expect(await codes()).toEqual(["MIGRATION_EDITED"]);
    await expect(recordMigrationHashes(folder, { again: ["0009_other"] })).rejects.toThrow(
      /again: names 0009_other/,
    );
  });

  test("a template of `generate --custom` is recorded when its SQL is written", async () => {
    const custom = layout.tag(2, "custom");
    const { id, ...last } = JSON.parse(await read(layout.snapshot(second))) as { id: string };
    const snapshot = { ...last, id: "custom", prevId: id, prevIds: [id] };
    await writeMigration(custom, snapshot, ["-- Custom SQL migration file, put your code below!"]);
    await writeJournal([first, second, custom]);
    expect(await recordMigrationHashes(folder)).toEqual([]);
    expect(await codes()).toEqual(["MIGRATION_NOT_RECORDED", "STATEMENT_EMPTY"]);
    await write(layout.sql(custom), "update users set age = 1;");
    expect(await recordMigrationHashes(folder)).toEqual([custom]);
    expect(await check()).toEqual([]);
  });

  test("a missing breakpoint", async () => {
    await edit(layout.sql(first), (text) => text.replace("--> statement-breakpoint", ""));
    expect(await codes()).toEqual(["MIGRATION_EDITED", "BREAKPOINT_MISSING"]);
  });

  test("a part without a statement", async () => {
    await edit(layout.sql(first), (text) => `${text}\n--> statement-breakpoint\n-- nothing`);
    expect(await codes()).toEqual(["MIGRATION_EDITED", "STATEMENT_EMPTY"]);
  });

  test("a snapshot that is missing", async () => {
    await rm(join(folder, layout.snapshot(first)));
    expect(await check()).toMatchObject([
      { code: "SNAPSHOT_MISSING", file: layout.snapshot(first) },
    ]);
  });

  test("a snapshot that drizzle-kit did not write", async () => {
    await write(layout.snapshot(first), "{}");
    expect(await codes()).toEqual(["SNAPSHOT_UNREADABLE"]);
  });

  test("a snapshot with conflict markers", async () => {
    await edit(layout.snapshot(first), (text) => `<<<<<<< ours\n${text}`);
    expect(await check()).toMatchObject([
      { code: "SNAPSHOT_UNREADABLE", message: expect.stringContaining("conflict markers") },
    ]);
  });

  test("a snapshot that was replaced by another", async () => {
    await edit(layout.snapshot(first), (text) => text.replace(/"id":"[^"]*"/, '"id":"other"'));
    expect(await check()).toMatchObject([
      {
        code: "SNAPSHOT_CHAIN_BROKEN",
        file: layout.snapshot(second),
        message: expect.stringContaining("deleted or replaced"),
      },
    ]);
  });

  test("SQL with conflict markers is neither checked further nor recorded", async () => {
    await edit(layout.sql(second), (text) => `<<<<<<< ours\n${text}\n=======\n>>>>>>> theirs\n`);
    expect(await check()).toMatchObject([{ code: "SQL_UNREADABLE", file: layout.sql(second) }]);
    const recording = recordMigrationHashes(folder, { again: [second] });
    await expect(recording).rejects.toThrow("conflict markers");
  });

  test("hashes with conflict markers", async () => {
    await edit("_hashes.json", (text) => `<<<<<<< ours\n${text}`);
    expect(await check()).toMatchObject([{ code: "JOURNAL_UNREADABLE", file: "_hashes.json" }]);
  });

  test("nothing but hashes is left", async () => {
    for (const tag of [first, second]) {
      await rm(join(folder, layout.sql(tag)));
      await rm(join(folder, layout.snapshot(tag)));
    }
    await rm(join(folder, "meta"), { recursive: true, force: true });
    const problems = await check();
    expect(problems.slice(0, 2)).toMatchObject([
      { code: "MIGRATION_REMOVED", file: layout.sql(first) },
      { code: "MIGRATION_REMOVED", file: layout.sql(second) },
    ]);
    expect(problems.slice(2).map(({ code }) => code)).toEqual(["SCHEMA_AHEAD", "SCHEMA_AHEAD"]);
  });
});

if (isDrizzle1) {
  test("a folder whose name has no time is found", async () => {
    await rename(join(folder, second), join(folder, "second"));
    await rm(join(folder, "_hashes.json"));
    await recordMigrationHashes(folder);
    expect(await check()).toMatchObject([
      { code: "WHEN_NOT_INCREASING", file: "second/migration.sql" },
    ]);
  });
} else {
  describe("the journal disagrees:", () => {
    test("an older migration after a newer one", async () => {
      await edit("meta/_journal.json", (text) => text.replace("1001", "999"));
      expect(await codes()).toEqual(["WHEN_NOT_INCREASING"]);
    });

    test("a project that began with `drizzle-kit pull`", async () => {
      const withoutParent = (text: string) => text.replace(/"prevId":"[^"]*"/, '"prevId":""');
      await edit(layout.snapshot(first), withoutParent);
      expect(await check()).toEqual([]);
      await edit(layout.snapshot(second), withoutParent);
      expect(await codes()).toEqual(["SNAPSHOT_CHAIN_BROKEN"]);
    });

    test("two migrations that were generated side by side", async () => {
      const snapshot = JSON.parse(await read(layout.snapshot(second))) as { prevId: string };
      snapshot.prevId = "00000000-0000-0000-0000-000000000000";
      await write(layout.snapshot(second), JSON.stringify(snapshot));
      expect(await check()).toMatchObject([
        { code: "SNAPSHOT_CHAIN_BROKEN", message: expect.stringContaining("side by side") },
      ]);
    });

    test("conflict markers of a merge are the only problem, and the steps name the files", async () => {
      const entry = (tag: string) => `{ "idx": 1, "version": "6", "when": 1001, "tag": "${tag}" }`;
      const conflict = (ours: string, theirs: string) =>
        `<<<<<<< HEAD\n${ours}\n||||||| base\n=======\n${theirs}\n>>>>>>> feature\n`;
      await write(
        "meta/_journal.json",
        `{ "version": "7", "dialect": "sqlite", "entries": [{ "idx": 0, "version": "6", "when": 1000, "tag": "0000_first" },
${conflict(entry("0001_second"), entry("0001_other"))}] }`,
      );
      await write("0001_other.sql", "create table other (id integer)");
      await edit(layout.snapshot(second), (text) => conflict(text, text));
      await edit("_hashes.json", (text) => conflict(text, text));
      await edit(layout.sql(second), (text) => conflict(text, text));
      const problems = await check();
      expect(problems.map(({ code, file }) => `${code} ${file}`)).toEqual([
        "JOURNAL_UNREADABLE meta/_journal.json",
      ]);
      expect(problems[0]?.remedy).toMatch(
        /^1\. choose .* \(one has 0001_second, the other 0001_other\); 2\. keep that side alone in meta\/_journal\.json, _hashes\.json, 0001_second\.sql, meta\/0001_snapshot\.json; 3\. delete .*0001_second\.sql or 0001_other\.sql.*; 4\. `drizzle-kit generate`.*; 5\. `gorkflow check --record`/,
      );
    });

    test("a journal that has a migration twice", async () => {
      const merged = [first, second, second];
      await writeJournal(merged);
      expect(await check()).toMatchObject([
        {
          code: "JOURNAL_UNREADABLE",
          message: expect.stringContaining(`two entries for ${second}`),
          remedy: "remove one of them",
        },
      ]);
      await expect(recordMigrationHashes(folder)).rejects.toThrow(InvalidArgumentError);
    });

    test("no journal is the only problem", async () => {
      await rename(join(folder, "meta/_journal.json"), join(folder, "meta/journal.json"));
      expect(await codes()).toEqual(["JOURNAL_UNREADABLE"]);
    });
  });
}

test("a changed index is created again: drizzle-kit 0.31 writes the SQL, and for 1.0 the remedy has it", async () => {
  const changed = sqliteTable(
    "users",
    {
      id: integer("id").primaryKey(),
      name: textColumn("name").notNull(),
      age: integer("age").notNull().default(0),
      // If nothing else changes, drizzle-kit 1.0 writes no migration at all.
      town: textColumn("town"),
    },
    (table) => [
      index("users_name_idx")
        .on(table.age)
        .where(sql`age > 17`),
    ],
  );
  const third = layout.tag(2, "third");
  const before = JSON.parse(await read(layout.snapshot(second))) as { id: string };
  const after = await generateSQLiteDrizzleJson({ users: changed, notes }, before.id);
  const statements = await generateSQLiteMigration(before, after);
  const incomplete = async () => {
    await writeMigration(third, after, statements);
    await writeJournal([first, second, third]);
    await recordMigrationHashes(folder, { again: [third] });
    return check({ users: changed, notes });
  };
  const found = await incomplete();
  if (isDrizzle1) {
    const [problem] = found;
    expect(found).toMatchObject([{ code: "SQL_INCOMPLETE", file: layout.sql(third) }]);
    expect(problem?.remedy).toBe(
      "add to it, each after a breakpoint: DROP INDEX `users_name_idx`; " +
        "CREATE INDEX `users_name_idx` ON `users` (`age`) WHERE age > 17;",
    );
    statements.push(...(problem?.remedy.split(": ")[1] ?? "").split(/(?<=;) /));
    expect(await incomplete()).toEqual([]);
  } else {
    expect(found).toEqual([]);
    expect(statements).toHaveLength(3);
  }
});

test("a rebuild that copies a column that it adds", async () => {
  const changed = sqliteTable("users", {
    id: integer("id").primaryKey(),
    name: textColumn("name"),
    age: integer("age").notNull().default(0),
    town: textColumn("town"),
  });
  const third = layout.tag(2, "third");
  const before = JSON.parse(await read(layout.snapshot(second))) as { id: string };
  const after = await generateSQLiteDrizzleJson({ users: changed, notes }, before.id);
  await writeMigration(third, after, await generateSQLiteMigration(before, after));
  await writeJournal([first, second, third]);
  await recordMigrationHashes(folder);
  const expected = {
    code: "SQL_INCORRECT",
    file: layout.sql(third),
    message: expect.stringContaining("copies town of the old table users") as string,
  };
  expect(await check({ users: changed, notes })).toMatchObject(isDrizzle1 ? [] : [expected]);
  if (isDrizzle1) return;
  await edit(layout.sql(third), (text) => text.replaceAll(', "town"', ""));
  await recordMigrationHashes(folder, { again: [third] });
  expect(await check({ users: changed, notes })).toEqual([]);
});

test("a rebuild that quotes the expression of an index", async () => {
  const tableWith = (name: ReturnType<typeof textColumn>) =>
    sqliteTable(
      "users",
      { id: integer("id").primaryKey(), name, age: integer("age").notNull().default(0) },
      (table) => [index("users_lower_idx").on(sql`lower(${table.name})`, table.age)],
    );
  const third = layout.tag(2, "third");
  const fourth = layout.tag(3, "fourth");
  let before = JSON.parse(await read(layout.snapshot(second))) as { id: string };
  for (const [tag, column] of [
    [third, textColumn("name").notNull()],
    [fourth, textColumn("name")],
  ] as const) {
    const after = await generateSQLiteDrizzleJson({ users: tableWith(column), notes }, before.id);
    await writeMigration(tag, after, await generateSQLiteMigration(before, after));
    before = after;
  }
  await writeJournal([first, second, third, fourth]);
  await recordMigrationHashes(folder);
  const checked = () => check({ users: tableWith(textColumn("name")), notes });
  const expected = {
    code: "SQL_INCORRECT",
    file: layout.sql(fourth),
    message: expect.stringContaining(
      'index users_lower_idx on the column `lower("name")`',
    ) as string,
  };
  expect(await checked()).toMatchObject(isDrizzle1 ? [] : [expected]);
  if (isDrizzle1) return;
  await edit(layout.sql(fourth), (text) => text.replace('`lower("name")`', 'lower("name")'));
  await recordMigrationHashes(folder, { again: [fourth] });
  expect(await checked()).toEqual([]);
});

test("in an empty folder, every table waits for its migration", async () => {
  await rm(folder, { recursive: true });
  await mkdir(folder);
  expect(await check()).toMatchObject([
    { code: "SCHEMA_AHEAD", message: expect.stringContaining("table notes was added") },
    { code: "SCHEMA_AHEAD", message: expect.stringContaining("table users was added") },
  ]);
  expect(await recordMigrationHashes(folder)).toEqual([]);
  expect(await codes({})).toEqual([]);
});

test("casing names the columns on drizzle-kit 0.31, and 1.0 takes them from the table", async () => {
  await rm(folder, { recursive: true });
  await mkdir(folder);
  const creators = core as unknown as { snakeCase?: { table: typeof sqliteTable } };
  const table = creators.snakeCase?.table ?? sqliteTable;
  const towns = table("towns", { homeTown: textColumn() });
  const tag = layout.tag(0, "towns");
  const cased = sqliteTable("towns", { homeTown: textColumn("home_town") });
  const [before, after] = [
    await generateSQLiteDrizzleJson({}),
    await generateSQLiteDrizzleJson({ cased }),
  ];
  await writeMigration(tag, after, await generateSQLiteMigration(before, after));
  await writeJournal([tag]);
  await recordMigrationHashes(folder);
  expect(await checkMigrations({ schema: { towns }, folder, casing: "snake_case" })).toEqual([]);
  // Without a table creator that has it, drizzle-kit 1.0 ignores `casing`, and so does the check.
  const plain = sqliteTable("towns", { homeTown: textColumn() });
  const found = await checkMigrations({ schema: { plain }, folder, casing: "snake_case" });
  expect(found.map(({ code }) => code)).toEqual(isDrizzle1 ? ["SCHEMA_AHEAD", "SCHEMA_AHEAD"] : []);
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

test("a schema that drizzle-kit refuses is a typed error with its reason", async () => {
  const broken = {
    getSQL(): never {
      throw new TypeError("planted");
    },
  };
  const odd = sqliteTable("odd", { odd: integer("odd") }, (table) => [
    index("odd_idx")
      .on(table.odd)
      .where(sql`${broken}`),
  ]);
  const refused = check({ odd });
  await expect(refused).rejects.toThrow(InvalidArgumentError);
  await expect(refused).rejects.toThrow("schema: is refused by drizzle-kit: planted");
});

test("an invalid argument, such as a folder that is not there, is a typed error", async () => {
  for (const given of [undefined, { schema: null, folder }, { schema: {}, folder, casing: "x" }]) {
    await expect(checkMigrations(given as never)).rejects.toThrow(InvalidArgumentError);
  }
  await expect(checkMigrations({ schema: {}, folder: join(folder, "none") })).rejects.toThrow(
    InvalidArgumentError,
  );
});
