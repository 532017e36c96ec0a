import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { migrate as drizzleMigrate } from "drizzle-orm/libsql/migrator";
import { afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { SchemaOutOfDateError, SchemaTooNewError, UnsupportedError } from "../../src/errors.ts";
import { compiledMigrations, type CompiledMigration } from "../../src/migrations/compiled.ts";
import { migrationStatus, migrationsTable } from "../../src/migrations/journal.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { applyMigrations, migrate } from "../../src/migrations/migrate.ts";
import { migrationsFolder } from "../../src/migrations/migrations-folder.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { drizzleOn, openBetterSQLite3 } from "../support/better-sqlite3.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { test } from "../support/fixtures.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const tags = compiledMigrations.map(({ tag }) => tag);
const newest = compiledMigrations.at(-1) as CompiledMigration;

/** A migration after the last one. */
const next = (number: number, statements: readonly string[]): CompiledMigration => ({
  tag: `999${number}_next`,
  when: newest.when + number,
  hash: `hash-${number}`,
  statements,
});

const rebuild = [
  "create table `__new_workflow_runs` as select * from workflow_runs where 0",
  "insert into `__new_workflow_runs` select * from workflow_runs",
  "drop table workflow_runs",
  "alter table `__new_workflow_runs` rename to workflow_runs",
  "create unique index rebuilt_pk on workflow_runs (run_id)",
];

test("a database on another driver is a typed error", async () => {
  const other = { $client: { prepare: () => {} } } as never;
  await expect(migrationStatus(other)).rejects.toThrow(UnsupportedError);
  await expect(migrate(other)).rejects.toThrow(UnsupportedError);
  for (const nothing of [null, undefined, "file:app.db", 7]) {
    await expect(migrate(nothing as never)).rejects.toThrow(UnsupportedError);
    await expect(doctor(nothing as never)).rejects.toThrow(UnsupportedError);
  }
});

test("a server that cannot be reached is a StoreConnectionError, as it is for a store", async () => {
  const refuse = async () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    throw new TypeError("fetch failed", { cause });
  };
  for (const work of [migrate, migrationStatus, doctor]) {
    const client = createRemoteClient({ url: "http://server.test", fetch: refuse });
    await expect(work(client)).rejects.toMatchObject({
      code: "STORE_CONNECTION",
      message: expect.stringContaining("the server cannot be reached") as string,
      retryable: true,
      outcome: "none",
    });
  }
});

test("on a file, waiting for a transaction of the app does not end it", async ({ folder }) => {
  const client = createRemoteClient({ url: folder.database(), timeout: 5 });
  await client.execute("create table app (x)");
  const transaction = await client.transaction("write");
  await transaction.execute("insert into app values (1)");
  const migrated = migrate(client);
  await setTimeout(50);
  await transaction.execute("insert into app values (2)");
  await transaction.commit();
  expect(await migrated).toEqual({ applied: tags });
  expect((await client.execute("select x from app")).rows).toHaveLength(2);
  client.close();
});

test("with nothing to migrate, it does not wait for a writer", async ({ folder }) => {
  const client = createRemoteClient({ url: folder.database(), timeout: 5 });
  await migrate(client);
  const transaction = await client.transaction("write");
  expect(await migrate(client)).toEqual({ applied: [] });
  await transaction.rollback();
  client.close();
});

test("the journal of an attached database is not that of the main one", async ({ folder }) => {
  const archive = createClient(folder.database("archive.db"));
  await migrate(archive);
  archive.close();
  const connection = openBetterSQLite3(join(folder.path, "app.db"));
  connection.exec(`attach '${join(folder.path, "archive.db")}' as archive`);
  expect(await migrate(drizzleOn(connection))).toEqual({ applied: tags });
  expect((await doctor(drizzleOn(connection))).findings).toEqual([]);
  connection.close();
});

test.for(["bigint", "string"] as const)(
  "doctor reads integers as a %s",
  async (intMode, { folder }) => {
    const client = createRemoteClient({ url: folder.database(), intMode });
    await migrate(client);
    expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
    client.close();
  },
);

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/migrator.ts`);
});

interface Backend {
  open(): Promise<{ readonly url: string; readonly client: Client }>;
  close(): Promise<void>;
}

function onFile(): Backend {
  const opened: Client[] = [];
  let folder: TemporaryFolder;
  return {
    async open() {
      folder = await temporaryFolder();
      const client = createClient(folder.database());
      opened.push(client);
      return { url: folder.database(), client };
    },
    async close() {
      for (const client of opened.splice(0)) client.close();
      await folder.remove();
    },
  };
}

function onServer(): Backend {
  let server: Sqld;
  let client: Client;
  return {
    async open() {
      server = await startSqld();
      client = createRemoteClient({ url: server.httpUrl });
      return { url: server.httpUrl, client };
    },
    async close() {
      client.close();
      await server.stop();
    },
  };
}

describe.each([
  ["a file", onFile()],
  ["a server", onServer()],
])("on %s", (_place, backend) => {
  let url: string;
  let client: Client;
  beforeEach(async () => {
    ({ url, client } = await backend.open());
  });
  afterEach(() => backend.close());

  const count = async (sql: string) => Number((await client.execute(sql)).rows[0]?.[0]);

  test("applies what is missing, once", async () => {
    expect((await migrationStatus(client)).state).toBe("empty");
    expect(await migrate(client)).toEqual({ applied: tags });
    expect(await migrate(client)).toEqual({ applied: [] });
    expect(await migrationStatus(client)).toEqual({
      state: "current",
      applied: tags,
      pending: [],
      unknown: [],
    });
  });

  test("of four processes that migrate at once, each migration is applied by one", async () => {
    const processes = Array.from({ length: 4 }, () =>
      startProgram<{ ready?: true; applied?: string[]; error?: string }>(program, [url]),
    );
    await Promise.all(processes.map((each) => each.message(({ ready }) => ready === true)));
    for (const each of processes) each.send(compiledMigrations);
    await Promise.all(processes.map(({ ended }) => ended));
    const answers = processes.map(({ messages }) => messages.at(-1));
    expect(answers.filter((answer) => answer?.error !== undefined)).toEqual([]);
    // Each of them by one process, not all by the same.
    expect(answers.flatMap((answer) => answer?.applied ?? []).toSorted()).toEqual(tags);
    expect(await count(`select count(*) from ${migrationsTable}`)).toBe(tags.length);
  });

  test.each([
    ["ours", () => migrate(client)],
    [
      "Drizzle's migrator",
      () => drizzleMigrate(drizzle({ client }), { migrationsFolder, migrationsTable }),
    ],
  ])(
    "behind a journal that %s made, a migration that changes data is applied once, however many ask",
    async (_made, migrateBefore) => {
      await migrateBefore();
      await client.execute("create table counter (n integer)");
      await client.execute("insert into counter values (0)");
      const migrations = [...compiledMigrations, next(1, ["update counter set n = n + 1"])];
      const reports = await Promise.all(
        Array.from({ length: 5 }, () => applyMigrations(client, migrations)),
      );
      expect(reports.flatMap(({ applied }) => applied)).toEqual(["9991_next"]);
      expect(await count("select n from counter")).toBe(1);
    },
  );

  test("one that fails in its middle leaves nothing, and the ones before it", async () => {
    const migrations = [
      ...compiledMigrations,
      next(1, ["create table one (a)"]),
      next(2, ["create table two (a)", "insert into missing values (1)"]),
    ];
    await expect(applyMigrations(client, migrations)).rejects.toThrow(/missing/);
    expect(await count("select count(*) from sqlite_schema where name in ('one', 'two')")).toBe(1);
    expect(await applyMigrations(client, migrations.slice(0, -1))).toEqual({ applied: [] });
  });

  test("the rebuild of a table keeps its children", async () => {
    await migrate(client);
    await client.execute(
      "insert into workflow_runs (run_id, workflow_id, created_at, updated_at) values ('r', 'w', 1, 1)",
    );
    await client.execute("insert into step_outputs values ('r', 's', '1', 1, 1)");
    await applyMigrations(client, [...compiledMigrations, next(1, rebuild)]);
    expect(await count("select count(*) from workflow_runs")).toBe(1);
    expect(await count("select count(*) from step_outputs")).toBe(1);
  });

  test("one that would leave orphans is undone; those that were there before do not matter", async () => {
    await migrate(client);
    await client.migrate(["insert into step_outputs values ('gone', 's', '1', 1, 1)"]);
    const insert = "insert into step_outputs values ('never', 's', '1', 1, 1)";
    await expect(
      applyMigrations(client, [...compiledMigrations, next(1, [insert])]),
    ).rejects.toThrow(SchemaOutOfDateError);
    expect(await count("select count(*) from step_outputs")).toBe(1);
    expect(await applyMigrations(client, [...compiledMigrations, next(1, ["select 1"])])).toEqual({
      applied: ["9991_next"],
    });
  });

  test("tables of the app whose foreign keys fit nothing do not matter, whatever a migration does", async () => {
    await client.executeMultiple(
      "create table a (x); create table b (y references a (x)); create table c (z references gone (id))",
    );
    await applyMigrations(client, [...compiledMigrations, next(1, rebuild)]);
  });

  test("drift before an upgrade is named, with the way out, or does not matter", async () => {
    const old = compiledMigrations.slice(0, 1);
    await applyMigrations(client, old);
    await client.execute("drop index workflow_runs_completed_at_idx");
    await client.execute("alter table workflow_runs add column wake_at text");
    await expect(migrate(client)).rejects.toThrow(
      /0001_durable-engine cannot be applied: something else has added the column wake_at: rename or drop it/,
    );
    await client.execute("alter table workflow_runs drop column wake_at");
    expect(await migrate(client)).toEqual({ applied: tags.slice(1) });
  });

  test("a table or an index of the app with a name of ours is named", async () => {
    await client.execute("create table workflow_runs_status_idx (x)");
    await expect(migrate(client)).rejects.toThrow(
      /workflow_runs_status_idx is already there.* If it is the app's own, rename it/,
    );
    await client.execute("drop table workflow_runs_status_idx");
    await client.execute("create table app (x)");
    await client.execute("create index workflow_state on app (x)");
    await expect(migrate(client)).rejects.toThrow(/workflow_state is already there/);
  });

  test("a missing table is named after the last migration, too", async () => {
    await migrate(client);
    await client.execute("drop table step_executions");
    await expect(migrate(client)).rejects.toThrow(/the table step_executions is missing: restore/);
  });

  test("steps get their workflow on tables without a rowid, unless a trigger forbids it", async () => {
    const plain = compiledMigrations.map((migration) => ({
      ...migration,
      statements: migration.statements.map((sql) =>
        /^create table/i.test(sql) ? sql.replace(/;?$/, " without rowid") : sql,
      ),
    }));
    await applyMigrations(client, plain);
    await client.executeMultiple(`
      insert into workflow_runs (run_id, workflow_id, created_at, updated_at) values ('r', 'w', 1, 1);
      insert into step_executions (run_id, step_id, created_at, completed_at, updated_at) values ('r', 's', 1, 2, 2);
      create trigger ended before update on step_executions begin select raise(abort, 'ended'); end;
    `);
    expect(await migrate(client)).toEqual({ applied: [] });
    // A trigger that empties the column again does not keep `migrate` busy.
    await client.executeMultiple(`drop trigger ended;
      create trigger emptied after update of workflow_id on step_executions begin
        update step_executions set workflow_id = null where run_id = new.run_id; end;`);
    expect(await migrate(client)).toEqual({ applied: [] });
    await client.execute("drop trigger emptied");
    await migrate(client);
    expect(await count("select count(*) from step_executions where workflow_id = 'w'")).toBe(1);
  });

  test("a journal that has a migration twice is named", async () => {
    await drizzleMigrate(drizzle({ client }), { migrationsFolder, migrationsTable });
    await client.execute(
      `insert into ${migrationsTable} (hash, created_at) select hash, created_at from ${migrationsTable} limit 1`,
    );
    const migrations = [...compiledMigrations, next(1, ["select 1"])];
    await expect(applyMigrations(client, migrations)).rejects.toThrow(/has a migration twice/);
  });

  test("a database newer than the code is refused, and left as it is", async () => {
    await applyMigrations(client, [...compiledMigrations, next(1, ["create table newer (a)"])]);
    await expect(migrate(client)).rejects.toThrow(SchemaTooNewError);
    await expect(LibSQLStore.open(url)).rejects.toThrow(SchemaTooNewError);
    expect((await migrationStatus(client)).state).toBe("ahead");
    expect(await count("select count(*) from sqlite_schema where name = 'newer'")).toBe(1);
  });

  test("an applied migration that was edited since is refused", async () => {
    await migrate(client);
    await client.execute(`update ${migrationsTable} set hash = 'edited' where rowid = 1`);
    await expect(migrate(client)).rejects.toThrow(SchemaOutOfDateError);
  });

  test("tables that were made in another way are refused", async () => {
    await client.execute("create table workflow_runs (run_id text)");
    await expect(migrate(client)).rejects.toThrow(SchemaOutOfDateError);
    // A journal without a row would tell the doctor that ours are to come.
    expect(
      await count(`select count(*) from sqlite_schema where name = '${migrationsTable}'`),
    ).toBe(0);
    await expect(LibSQLStore.open({ url, migrate: false })).rejects.toThrow(SchemaOutOfDateError);
  });

  test("Drizzle's migrator and ours can follow one another", async () => {
    await drizzleMigrate(drizzle({ client }), { migrationsFolder, migrationsTable });
    expect(await migrate(client)).toEqual({ applied: [] });
    await drizzleMigrate(drizzle({ client }), { migrationsFolder, migrationsTable });
    expect((await migrationStatus(client)).state).toBe("current");
  });
});
