import { setTimeout as sleep } from "node:timers/promises";
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { compiledMigrations, type CompiledMigration } from "../../src/migrations/compiled.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { migrationsTable } from "../../src/migrations/journal.ts";
import { applyMigrations } from "../../src/migrations/migrate.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { plantRebuild } from "./support/planted-rebuild.ts";

/** How often each of them is killed. */
const kills = Number(process.env["MIGRATION_KILLS"] ?? 5);
const timeoutMs = 60_000 + kills * 5000;
const runs = 200;

/** Every migration of this version, and a rebuild of the table that all others hang from. */
let migrations: readonly CompiledMigration[];
let program: string;
beforeAll(async () => {
  migrations = [...compiledMigrations, await plantRebuild()];
  program = await compileProgram(`${import.meta.dirname}/programs/migrator.ts`);
});

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A database of the first version, with rows in every table that it had. */
async function makeFirstVersion(client: Client): Promise<void> {
  const { rows } = await client.execute(
    "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'",
  );
  await client.migrate(rows.map(({ name }) => `drop table "${name as string}"`));
  await applyMigrations(client, migrations.slice(0, 1));
  const each = `with recursive n (n) as (select 1 union all select n + 1 from n where n < ${runs})`;
  await client.migrate([
    `${each} insert into workflow_runs (run_id, workflow_id, input, created_at, updated_at)
     select 'run-' || n, 'w', '{"n":' || n || '}', n, n from n`,
    `${each} insert into step_executions (run_id, step_id, duration_ms, created_at, updated_at)
     select 'run-' || n, 's', n, n, n from n`,
    `${each} insert into step_outputs select 'run-' || n, 's', n, n, n from n`,
    `${each} insert into workflow_state select 'run-' || n, 'k', n, 1, n from n`,
  ]);
}

const firstColumns = {
  workflow_runs: "run_id, workflow_id, status, input, attempt, created_at",
  step_executions: "run_id, step_id, status, duration_ms, updated_at",
  step_outputs: "run_id, step_id, output, created_at",
  workflow_state: "run_id, key, value, revision",
};

async function readRows(client: Client): Promise<unknown> {
  const results = await client.batch(
    Object.entries(firstColumns).map(
      ([table, columns]) => `select ${columns} from ${table} order by 1`,
    ),
    "read",
  );
  return results.map(({ rows }) => rows.map((row) => Array.from(row)));
}

async function readHashes(client: Client): Promise<unknown[]> {
  const { rows } = await client.execute(`select hash from ${migrationsTable} order by created_at`);
  return rows.map(({ hash }) => hash);
}

/** Migrates in a process of its own, `kill`s something meanwhile, and migrates again. */
async function expectNothingLost(client: Client, url: string, kill: Kill): Promise<void> {
  const hashes = migrations.map(({ hash }) => hash);
  const startMigrator = async () => {
    await makeFirstVersion(client);
    const migrator = startProgram<{ ready?: true; applied?: string[] }>(program, [url]);
    await migrator.message(({ ready }) => ready === true);
    migrator.send(migrations);
    return migrator;
  };

  await makeFirstVersion(client);
  const before = await readRows(client);
  const undisturbed = await startMigrator();
  const startedAt = performance.now();
  await undisturbed.message(({ applied }) => applied !== undefined);
  const durationMs = performance.now() - startedAt;
  await undisturbed.ended;

  const reached: number[] = [];
  for (let round = 0; round < kills; round++) {
    const migrator = await startMigrator();
    await sleep(Math.random() * durationMs);
    await kill(migrator);

    const applied = await readHashes(client);
    expect(applied).toEqual(hashes.slice(0, applied.length));
    reached.push(applied.length);

    await applyMigrations(client, migrations);
    expect(await readHashes(client)).toEqual(hashes);
    expect(await readRows(client)).toEqual(before);
    const { findings } = await doctor(client);
    expect(findings.map(({ code, message }) => `${code} ${message}`)).toEqual([
      "COLUMN_CHANGED column workflow_runs.attempt has another default (1, not 0)",
      "MIGRATIONS_UNKNOWN 1 applied migration(s) are not of this version",
    ]);
  }
  if (process.env["MIGRATION_KILLS"] !== undefined) {
    console.info(`applied when it was killed, of ${hashes.length}: ${reached.join(" ")}`);
  }
}

type Kill = (migrator: { kill(): Promise<void> }) => Promise<void>;

test(
  "a process that is killed while it migrates a file leaves what the next one brings up to date",
  async () => {
    const folder = await temporaryFolder();
    cleanups.push(() => folder.remove());
    const client = createClient(folder.database());
    cleanups.push(() => client.close());
    await expectNothingLost(client, folder.database(), (migrator) => migrator.kill());
  },
  timeoutMs,
);

async function serve(): Promise<{ server: Sqld; client: Client }> {
  const server = await startSqld();
  cleanups.push(() => server.stop());
  const client = createRemoteClient({ url: server.httpUrl });
  cleanups.push(() => client.close());
  return { server, client };
}

test(
  "so does one that migrates a server",
  async () => {
    const { server, client } = await serve();
    await expectNothingLost(client, server.httpUrl, (migrator) => migrator.kill());
  },
  timeoutMs,
);

test(
  "so does a server that is killed while it is migrated",
  async () => {
    const { server, client } = await serve();
    await expectNothingLost(client, server.httpUrl, async (migrator) => {
      await server.kill();
      await migrator.kill();
      await server.restart();
    });
  },
  timeoutMs,
);
