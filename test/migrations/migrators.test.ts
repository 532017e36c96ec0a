// Our migrator and those of both Drizzle versions take turns on one journal.
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Client } from "@libsql/client";
import type * as libsql from "drizzle-orm/libsql";
import type * as migrator from "drizzle-orm/libsql/migrator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { upgradedFolder } from "../../scripts/upgrade-migrations.ts";
import { createClient } from "../../src/client/create-client.ts";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { folderOf, migrationsTable, migrationStatus } from "../../src/migrations/journal.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const root = join(import.meta.dirname, "../..");

/** Applies the first `count` migrations. */
type Migrator = (client: Client, count: number) => Promise<unknown>;

/** `require` is not subject to the hooks that choose the Drizzle of the tests. */
function drizzleOf(project: string, layout: string): Migrator {
  const require = createRequire(join(root, project));
  const { drizzle } = require("drizzle-orm/libsql") as typeof libsql;
  const { migrate } = require("drizzle-orm/libsql/migrator") as typeof migrator;
  return (client, count) =>
    migrate(drizzle({ client }), {
      migrationsFolder: join(temporary.path, `${layout}-${count}`),
      migrationsTable,
    });
}

const migrators = {
  ours: (client, count) => applyMigrations(client, compiledMigrations.slice(0, count)),
  "0.45": drizzleOf("package.json", "journal"),
  "1.0": drizzleOf("test/drizzle-1/package.json", "folders"),
} satisfies Record<string, Migrator>;
type Name = keyof typeof migrators;

const steps = [1, 3, compiledMigrations.length];
let temporary: TemporaryFolder;
/** The package's folder at earlier times, in both layouts; another test compares the second with `drizzle-kit up`. */
beforeAll(async () => {
  temporary = await temporaryFolder();
  for (const count of steps) {
    const journal = join(temporary.path, `journal-${count}`);
    await cp(join(root, "drizzle"), journal, { recursive: true });
    const file = join(journal, "meta/_journal.json");
    const { entries, ...others } = JSON.parse(await readFile(file, "utf8")) as {
      entries: object[];
    };
    await writeFile(file, JSON.stringify({ ...others, entries: entries.slice(0, count) }));
    const folders = join(temporary.path, `folders-${count}`);
    await mkdir(folders);
    for (const migration of compiledMigrations.slice(0, count)) {
      const tag = folderOf(migration);
      await cp(join(upgradedFolder, tag), join(folders, tag), { recursive: true });
    }
  }
});
afterAll(() => temporary.remove());

const names = Object.keys(migrators) as Name[];
let orders: Name[][] = [[]];
for (const _ of steps) orders = orders.flatMap((order) => names.map((name) => order.concat(name)));

test.each(orders.map((order) => [order.join(", "), order] as const))("%s", async (_, order) => {
  const client = createClient(":memory:");
  // A journal that 1.0 has upgraded has names. 0.45 adds rows without one, which 1.0 would apply again.
  let isUpgraded = false;
  let isNameless = false;
  for (const [step, name] of order.entries()) {
    const count = steps[step]!;
    const migrated = migrators[name](client, count);
    if (name === "1.0" && isNameless) {
      await expect(migrated).rejects.toThrow();
      // Ours names the rows, and 1.0 continues.
      await migrators.ours(client, steps[step - 1]!);
      await migrators["1.0"](client, count);
    } else await migrated;
    isUpgraded ||= name === "1.0";
    isNameless = isUpgraded && name === "0.45";
    expect(await migrationStatus(client)).toMatchObject({
      state: count === compiledMigrations.length ? "current" : "behind",
      applied: compiledMigrations.slice(0, count).map(({ tag }) => tag),
      unknown: [],
    });
  }
  await migrators.ours(client, compiledMigrations.length);
  const columns = isUpgraded ? "hash, created_at, name" : "hash, created_at, null";
  const { rows } = await client.execute(`select ${columns} from ${migrationsTable} order by 2`);
  expect(rows.map((row) => [row[0], Number(row[1]), row[2]])).toEqual(
    compiledMigrations.map((each) => [each.hash, each.when, isUpgraded ? folderOf(each) : null]),
  );
  expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
  client.close();
});
