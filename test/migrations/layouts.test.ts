import { cp, mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as orm from "drizzle-orm";
import * as core from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { upgradedFolder, upgradeMigrations } from "../../scripts/upgrade-migrations.ts";
import { createClient } from "../../src/client/create-client.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { checkMigrations } from "../../src/migrations/check/check.ts";
import {
  readMigrationFolder,
  recordMigrationHashes,
} from "../../src/migrations/check/migration-folder.ts";
import { checkFolder } from "../../src/migrations/check/folder-checks.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { folderOf, migrationsTable, migrationStatus } from "../../src/migrations/journal.ts";
import { applyMigrations, migrate } from "../../src/migrations/migrate.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import * as schema from "../../src/schema/index.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { generateSQLiteDrizzleJson } from "./support/drizzle-kit.ts";

async function filesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => /\.\w+$/.test(name));
  const texts = names.map(async (name) => [name, await readFile(join(folder, name), "utf8")]);
  return Object.fromEntries((await Promise.all(texts)) as [string, string][]);
}

test("both layouts have the same migrations, and hashes survive drizzle-kit up", async () => {
  const temporary = await temporaryFolder();
  const folder = join(temporary.path, "drizzle");
  upgradeMigrations(folder);
  const { "_hashes.json": before, ...upgraded } = await filesOf(folder);
  const { "_hashes.json": hashes, ...shipped } = await filesOf(upgradedFolder);
  expect(upgraded).toEqual(shipped);
  expect(Object.values(JSON.parse(before ?? "") as object)).toEqual(
    Object.values(JSON.parse(hashes ?? "") as object),
  );
  const read = await readMigrationFolder(folder);
  expect(read.problems).toEqual([]);
  expect(checkFolder(read.folder)).toEqual([]);
  await temporary.remove();
});

test("a migration has the name of its folder", async () => {
  const names = (await readdir(upgradedFolder)).filter((name) => !name.endsWith(".json"));
  expect(compiledMigrations.map(folderOf)).toEqual(names.toSorted());
});

test("migrate names what it applies, and what is nameless, in a journal that Drizzle 1.0 upgraded", async () => {
  const client = createClient(":memory:");
  await applyMigrations(client, compiledMigrations.slice(0, 2));
  await client.execute(`alter table ${migrationsTable} add column name text`);
  await client.execute(`alter table ${migrationsTable} add column applied_at text`);
  await migrate(client);
  const { rows } = await client.execute(`select name, applied_at is null from ${migrationsTable}`);
  expect(rows.map((row) => row[0])).toEqual(compiledMigrations.map(folderOf));
  expect(rows.map((row) => row[1])).toEqual(
    compiledMigrations.map((_, index) => (index < 2 ? 1 : 0)),
  );
  expect(await migrationStatus(client)).toMatchObject({ state: "current" });
  client.close();
});

/** Snapshots of two branches that each change what `x` and `y` say. */
async function branchOff(folder: string, x: object, y: object): Promise<void> {
  const last = JSON.parse(
    await readFile(
      join(upgradedFolder, folderOf(compiledMigrations.at(-1)!), "snapshot.json"),
      "utf8",
    ),
  ) as { readonly id: string; readonly ddl: object[] };
  await cp(upgradedFolder, folder, { recursive: true });
  for (const [name, entity] of Object.entries({ x, y })) {
    await mkdir(join(folder, `20270101000000_${name}`));
    const snapshot = { ...last, id: name, prevIds: [last.id], ddl: [...last.ddl, entity] };
    await writeFile(join(folder, `20270101000000_${name}/snapshot.json`), JSON.stringify(snapshot));
    await writeFile(join(folder, `20270101000000_${name}/migration.sql`), "select 1;");
  }
  await recordMigrationHashes(folder);
}

const column = (table: string, name: string) => ({ entityType: "columns", table, name });

test.each([
  ["two tables", column("workflow_runs", "x"), column("step_outputs", "y"), []],
  [
    "one table with columns of their own",
    column("step_outputs", "x"),
    column("step_outputs", "y"),
    [],
  ],
  [
    "one column",
    column("step_outputs", "x"),
    column("step_outputs", "x"),
    [{ code: "SNAPSHOT_CHAIN_BROKEN", file: "20270101000000_y/snapshot.json" }],
  ],
  [
    "one table, which one of them rebuilds",
    { entityType: "checks", table: "step_outputs", name: "x", value: "1" },
    column("step_outputs", "y"),
    [{ code: "SNAPSHOT_CHAIN_BROKEN", file: "20270101000000_y/snapshot.json" }],
  ],
])(
  "in the layout of drizzle-kit 1.0, branches that change %s are judged",
  async (_, x, y, problems) => {
    const temporary = await temporaryFolder();
    const folder = join(temporary.path, "drizzle");
    await branchOff(folder, x, y);
    const { folder: read } = await readMigrationFolder(folder);
    expect(checkFolder(read)).toMatchObject(problems);
    if (isDrizzle1 && problems.length === 0) {
      const drift = await checkMigrations({ schema, folder });
      expect(drift.map(({ message }) => message.replace(/^.*differ: /, ""))).toEqual(
        [x, y].map(({ table, name }) => `column ${table}: ${name} was removed`).toSorted(),
      );
    }
    await temporary.remove();
  },
);

/** A folder of drizzle-kit 1.0 with these migrations, whose hashes are recorded. */
async function writeFolders(folder: string, migrations: readonly Planted[]): Promise<void> {
  let prevId = "00000000-0000-0000-0000-000000000000";
  for (const [index, { sql = "select 1;", ...snapshot }] of migrations.entries()) {
    const path = join(folder, `2026010100000${index}_${index}`);
    await mkdir(path, { recursive: true });
    const written = { id: String(index), prevIds: [prevId], renames: [], ...snapshot };
    await writeFile(join(path, "snapshot.json"), JSON.stringify(written));
    await writeFile(join(path, "migration.sql"), sql);
    prevId = String(index);
  }
  await recordMigrationHashes(folder);
}

interface Planted {
  readonly ddl: readonly object[];
  readonly renames?: readonly string[];
  readonly prevIds?: readonly string[];
  readonly sql?: string;
}

const indexOf = (table: string, columns: readonly string[], where: string | null = null) => ({
  entityType: "indexes",
  name: "by_age",
  table,
  columns: columns.map((value) => ({ value, isExpression: value.includes("(") })),
  isUnique: false,
  where,
});
const before = indexOf("users", ["age", 'lower("name")'], '"users"."age" > 17');
const incomplete = ["SQL_INCOMPLETE"];

test.each<[string, Omit<Planted, "ddl">, object, string[]]>([
  [
    "the table was renamed",
    { renames: ["users->people"] },
    indexOf("people", ["age", 'lower("name")'], '"people"."age" > 17'),
    [],
  ],
  [
    "a column was renamed",
    { renames: ['"users"."age"->"users"."years"'] },
    indexOf("users", ["years", 'lower("name")'], '"users"."years" > 17'),
    [],
  ],
  [
    "a column of another table was renamed",
    { renames: ["orders.age->orders.years"] },
    indexOf("users", ["years", 'lower("name")'], '"users"."years" > 17'),
    incomplete,
  ],
  [
    "the table was renamed, and the index changed",
    { renames: ["users->people"] },
    indexOf("people", ["age"], '"people"."age" > 17'),
    incomplete,
  ],
  [
    "`drizzle-kit up` took its expression for a column before",
    {},
    { ...before, columns: before.columns.map(({ value }) => ({ value, isExpression: false })) },
    [],
  ],
  [
    "the SQL creates it again",
    { sql: 'drop index by_age;\n--> statement-breakpoint\nCREATE INDEX "by_age" ON users (age);' },
    indexOf("users", ["age"]),
    [],
  ],
  [
    "the SQL creates another one, whose name contains its name",
    { sql: "CREATE UNIQUE INDEX `by_age_and_name` ON `users` (`age`,`name`);" },
    indexOf("users", ["age"]),
    incomplete,
  ],
])("an index of drizzle-kit 1.0 is compared: %s", async (_, migration, index, problems) => {
  const temporary = await temporaryFolder();
  await writeFolders(temporary.path, [{ ddl: [before] }, { ddl: [index], ...migration }]);
  const { folder } = await readMigrationFolder(temporary.path);
  expect(checkFolder(folder).map(({ code }) => code)).toEqual(problems);
  await temporary.remove();
});

test("a project that began with `drizzle-kit pull` of 0.31 is complete after drizzle-kit up", async () => {
  const temporary = await temporaryFolder();
  await writeFolders(temporary.path, [{ ddl: [], prevIds: [""] }, { ddl: [] }]);
  const { folder } = await readMigrationFolder(temporary.path);
  expect(checkFolder(folder)).toEqual([]);
  await temporary.remove();
});

test("a merge that brings the old layout back beside the new one is one problem", async () => {
  const temporary = await temporaryFolder();
  const folder = join(temporary.path, "drizzle");
  await cp("drizzle", folder, { recursive: true });
  await cp(upgradedFolder, folder, { recursive: true });
  expect(await checkMigrations({ schema, folder })).toMatchObject([
    { code: "LAYOUT_OF_OTHER_VERSION", message: expect.stringContaining("0.31 and 1.0") },
  ]);
  await expect(recordMigrationHashes(folder)).rejects.toThrow("0.31 and 1.0");
  await temporary.remove();
});

test("hashes of tags with any prefix survive drizzle-kit up", async () => {
  const temporary = await temporaryFolder();
  const folder = join(temporary.path, "drizzle");
  await cp(upgradedFolder, folder, { recursive: true });
  const file = join(folder, "_hashes.json");
  const hashes = JSON.parse(await readFile(file, "utf8")) as Record<string, string>;
  const renamed = Object.entries(hashes).map(
    ([tag, hash], index) => [tag.replace(/^\d+/, String(1795525012 + index)), hash] as const,
  );
  // It leaves nothing of a name without an underscore.
  const [[first, hash] = ["", ""]] = renamed;
  await rename(join(folder, folderOf(compiledMigrations[0]!)), join(folder, "20261124125652_"));
  await writeFile(
    file,
    JSON.stringify({ ...Object.fromEntries(renamed), [first]: undefined, initial: hash }),
  );
  const { folder: read } = await readMigrationFolder(folder);
  expect(checkFolder(read)).toEqual([]);
  await temporary.remove();
});

if (isDrizzle1) {
  test("on Drizzle 1.0, an expression that drizzle-kit up took for a column is no drift", async () => {
    const temporary = await temporaryFolder();
    const users = core.sqliteTable("users", { name: core.text("name") }, (table) => [
      core.index("by_name").on(orm.sql`lower(${table.name})`),
    ]);
    const snapshot = JSON.stringify(await generateSQLiteDrizzleJson({ users }));
    expect(snapshot).toContain('"isExpression":true');
    const { ddl } = JSON.parse(
      snapshot.replace('"isExpression":true', '"isExpression":false'),
    ) as Planted;
    await writeFolders(temporary.path, [{ ddl }]);
    expect(await checkMigrations({ schema: { users }, folder: temporary.path })).toEqual([]);
    await temporary.remove();
  });

  test("on Drizzle 1.0, the name of a constraint outlives a rename, unless the app gives it", async () => {
    const temporary = await temporaryFolder();
    const teams = core.sqliteTable("teams", { id: core.integer("id").primaryKey() });
    const people = core.sqliteTable("people", {
      mail: core.text("mail").unique(),
      team: core.integer("team").references(() => teams.id),
      nick: core.text("nick").unique("nick_of_person"),
    });
    const snapshot = JSON.stringify(await generateSQLiteDrizzleJson({ teams, people }));
    const check = async (text: string) => {
      await writeFolders(temporary.path, [JSON.parse(text) as Planted]);
      const problems = await checkMigrations({ schema: { teams, people }, folder: temporary.path });
      return problems.map(({ message }) => message.replace(/^.*differ: /, ""));
    };
    const renamed = snapshot.replaceAll("people_", "users_");
    expect(renamed).toContain('"fk_users_team_teams_id_fk"');
    expect(renamed).toContain('"users_mail_unique"');
    expect(await check(renamed)).toEqual([]);
    expect(await check(snapshot.replace("nick_of_person", "nick_of_user"))).toEqual([
      "unique constraint people: nick_of_person was added",
      "unique constraint people: nick_of_user was removed",
    ]);
    await temporary.remove();
  });

  test("on Drizzle 1.0, the folder is what the schema asks for", async () => {
    expect(await checkMigrations({ schema, folder: upgradedFolder })).toEqual([]);
    const { workflowState: _, ...others } = schema;
    expect(await checkMigrations({ schema: others, folder: upgradedFolder })).toMatchObject([
      { code: "SCHEMA_AHEAD", message: expect.stringContaining("workflow_state was removed") },
    ]);
    const old = await checkMigrations({ schema, folder: "drizzle" });
    expect(old).toMatchObject([{ code: "LAYOUT_OF_OTHER_VERSION" }]);
  });
} else {
  test("on Drizzle 0.45, a folder of 1.0 is told from drift", async () => {
    expect(await checkMigrations({ schema, folder: upgradedFolder })).toMatchObject([
      { code: "LAYOUT_OF_OTHER_VERSION", remedy: "install drizzle-kit 1.0" },
    ]);
  });
}

test("doctor warns of a primary key that drizzle-kit 1.0 made without NOT NULL", async () => {
  const client = createClient(":memory:");
  await migrate(client);
  const sql = "select sql from sqlite_schema where type = 'table' and name = 'workflow_runs'";
  const definition = (await client.execute(sql)).rows[0]?.[0] as string;
  const indexes = await client.execute(
    "select sql from sqlite_schema where type = 'index' and tbl_name = 'workflow_runs' and sql is not null",
  );
  await client.migrate([
    "drop table workflow_runs",
    definition.replace("`run_id` text PRIMARY KEY NOT NULL", "`run_id` text PRIMARY KEY"),
    ...indexes.rows.map((row) => row[0] as string),
  ]);
  expect(await doctor(client)).toMatchObject({
    healthy: true,
    findings: [{ code: "COLUMN_CHANGED", severity: "warning", table: "workflow_runs" }],
  });
  client.close();
});
