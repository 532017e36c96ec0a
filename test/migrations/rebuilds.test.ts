import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { migrate as drizzleMigrate } from "drizzle-orm/libsql/migrator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { compiledMigrations, type CompiledMigration } from "../../src/migrations/compiled.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { folderOf, migrationsTable } from "../../src/migrations/journal.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { migrationScript } from "../../src/migrations/migration-script.ts";
import { migrationsFolder } from "../../src/migrations/migrations-folder.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { plantRebuild } from "./support/planted-rebuild.ts";

const root = join(import.meta.dirname, "../..");
const kit = `${isDrizzle1 ? "test/drizzle-1/" : ""}node_modules/drizzle-kit/bin.cjs`;

/** The migrations, and the planted rebuild. */
interface Planted {
  readonly migrations: readonly CompiledMigration[];
  /** The same, as drizzle-kit left it. */
  readonly folder: string;
}

let temporary: TemporaryFolder;
let planted: Planted;
beforeAll(async () => {
  temporary = await temporaryFolder();
  planted = await plantInFolder(join(temporary.path, "drizzle"));
});
afterAll(() => temporary.remove());

async function plantInFolder(folder: string): Promise<Planted> {
  const rebuild = await plantRebuild();
  const { tag, when, statements } = rebuild;
  await cp(migrationsFolder, folder, { recursive: true });
  const text = statements.join("\n--> statement-breakpoint\n");
  if (isDrizzle1) {
    await mkdir(join(folder, folderOf(rebuild)));
    await writeFile(join(folder, folderOf(rebuild), "migration.sql"), text);
    return { folder, migrations: [...compiledMigrations, rebuild] };
  }
  await writeFile(join(folder, `${tag}.sql`), text);
  const journalFile = join(folder, "meta/_journal.json");
  const journal = JSON.parse(await readFile(journalFile, "utf8")) as { entries: object[] };
  journal.entries.push({ idx: journal.entries.length, version: "6", when, tag, breakpoints: true });
  await writeFile(journalFile, JSON.stringify(journal));
  return { folder, migrations: [...compiledMigrations, rebuild] };
}

async function fill(client: Client) {
  await applyMigrations(client, compiledMigrations);
  const store = new LibSQLStore(drizzle({ client }));
  for (const runId of ["a", "b"]) {
    await store.createRun({ runId, workflowId: "w" });
    await store.createStepExecution({ runId, stepId: "s" });
    await store.saveStepOutput(runId, "s", [runId]);
    await store.saveState(runId, "k", runId);
  }
  return store;
}

/** Every way of applying migrations that the documentation shows. */
const ways: readonly {
  readonly name: string;
  readonly apply: (client: Client, url: string) => Promise<unknown>;
}[] = [
  {
    name: "migrate of gorkflow/migrations",
    apply: (client) => applyMigrations(client, planted.migrations),
  },
  {
    name: "client.migrate",
    apply: (client) => client.migrate([...(planted.migrations.at(-1)?.statements ?? [])]),
  },
  {
    name: "the script of gorkflow migrate --sql",
    apply: (client) => client.executeMultiple(migrationScript(planted.migrations.slice(-1))),
  },
  {
    name: "the migrator of drizzle-orm",
    apply: (client) =>
      drizzleMigrate(drizzle({ client }), { migrationsFolder: planted.folder, migrationsTable }),
  },
  {
    name: "drizzle-kit migrate",
    apply: async (_, url) => {
      const config = join(temporary.path, "drizzle.config.ts");
      await writeFile(
        config,
        `export default ${JSON.stringify({
          dialect: "sqlite",
          out: "drizzle",
          dbCredentials: { url },
          migrations: { table: migrationsTable },
        })}`,
      );
      await promisify(execFile)(
        process.execPath,
        [join(root, kit), "migrate", "--config", "drizzle.config.ts"],
        { cwd: temporary.path },
      );
    },
  },
];

const places: readonly {
  readonly name: string;
  open(): Promise<{ url: string; client: Client; release?: () => Promise<void> }>;
}[] = [
  {
    name: "a file, by our client",
    open: async () => {
      const url = temporary.database(`${crypto.randomUUID()}.db`);
      return { url, client: createClient(url) };
    },
  },
  {
    name: "a file, by @libsql/client",
    open: async () => {
      const url = temporary.database(`${crypto.randomUUID()}.db`);
      return { url, client: createRemoteClient({ url }) };
    },
  },
  {
    name: "a server",
    open: async () => {
      const server: Sqld = await startSqld();
      const client = createRemoteClient({ url: server.httpUrl });
      return { url: server.httpUrl, client, release: () => server.stop() };
    },
  },
];

describe.each(places)("in $name", ({ open }) => {
  test.each(ways)("a rebuild of workflow_runs by $name keeps every child", async ({ apply }) => {
    const { url, client, release } = await open();
    const store = await fill(client);
    const before = await store.readBundles();

    await apply(client, url);
    const [definition] = (
      await client.execute("select sql from sqlite_schema where name = 'workflow_runs'")
    ).rows;
    expect(definition?.["sql"]).toMatch(/`attempt` integer DEFAULT 1/);
    expect(await store.readBundles()).toEqual(before);
    const { rows } = await client.execute("select count(*) from pragma_foreign_key_check");
    expect(rows[0]?.[0]).toBe(0);
    // Foreign keys are as they were.
    await store.deleteRun("a");
    expect(await store.listStepExecutions("a")).toEqual([]);
    client.close();
    await release?.();
  });
});

test("inside a transaction, which no documented way is, it would have lost them all", async () => {
  const client = createClient(":memory:");
  await fill(client);
  await client.batch([...(planted.migrations.at(-1)?.statements ?? [])], "write");
  const { rows } = await client.execute("select count(*) from step_executions");
  expect(rows[0]?.[0]).toBe(0);
  client.close();
});
