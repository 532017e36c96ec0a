import { getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { pause } from "../async/pause.ts";
import { Backoff, retry, retryFor } from "../async/retry.ts";
import { ConstraintError, GorkflowError, SchemaOutOfDateError, StoreBusyError } from "../errors.ts";
import { schema } from "../schema/schema.ts";
import { rethrow, translateError } from "../stores/sqlite/errors/translate.ts";
import { compiledMigrations, type CompiledMigration } from "./compiled.ts";
import {
  checkJournal,
  journalStatements,
  migrationsTable,
  pendingOf,
  folderOf,
  readJournal,
  readJournalColumns,
  type AppliedMigration,
} from "./journal.ts";
import { clientOf, type MigrationClient, type MigrationTarget } from "./migration-client.ts";

/** The time to wait for the lock of another process. */
const busyTimeoutMs = 10_000;

export interface MigrationReport {
  /** Tags of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
}

/**
 * Migrates the database to the schema of this version. Each migration is applied completely or not at all, and once, also
 * if several processes migrate at the same time.
 *
 * Then it fills `step_executions.workflow_id` in rows that an older version wrote, in short transactions with pauses for
 * other writers. If it is interrupted, the next call continues. Reports are right without it, but read more.
 *
 * @throws {SchemaTooNewError} if a newer version migrated the database. Nothing is changed.
 * @throws {SchemaOutOfDateError} if the tables exist without our journal, or the journal has a migration that this version
 *   does not have; nothing is changed. Also if a migration would leave rows without their parent; it is rolled back.
 * @throws {StoreBusyError} if the database stays locked for 10 seconds, by another process or by an unfinished query of the app.
 * @throws {StoreConnectionError} if the database cannot be reached, or refuses a statement.
 */
export async function migrate(target: MigrationTarget): Promise<MigrationReport> {
  const client = clientOf(target);
  const report = await applyMigrations(client).catch(rethrow("write"));
  await fillWorkflows(client).catch((error: unknown) => {
    const translated = translateError(error, "write");
    // A trigger of the app may forbid changes of ended steps. The migrations are applied anyway.
    if (translated instanceof ConstraintError) return;
    const isDrift = translated instanceof SchemaOutOfDateError;
    const drift = isDrift ? describeDrift(messagesOf(error)) : null;
    throw drift === null ? translated : new SchemaOutOfDateError(drift, { cause: error });
  });
  return report;
}

const unfilled = `from step_executions where workflow_id is null and completed_at is not null
  and exists (select 1 from workflow_runs as run where run.run_id = step_executions.run_id and run.workflow_id is not null)`;

/** A table of the app's own migrations may lack a rowid. */
const fillBatch = `update step_executions
  set workflow_id = (select workflow_id from workflow_runs where workflow_runs.run_id = step_executions.run_id)
  where (run_id, step_id) in (select run_id, step_id ${unfilled} limit 1000)
  returning run_id, step_id`;

async function fillWorkflows(client: MigrationClient): Promise<void> {
  // Usually no row is left. Then this waits for no other writer, and may be read-only.
  const { rows: left } = await waiting(client, "read", () =>
    client.execute(`select 1 ${unfilled} limit 1`),
  );
  if (left.length === 0) return;
  for (let first: string | null = null; ;) {
    const begun = performance.now();
    const { rows } = await waiting(client, "write", () => client.execute(fillBatch));
    if (rows.length === 0) return;
    const key = JSON.stringify(Array.from(rows[0] ?? []));
    // A trigger of the app has emptied the row again.
    if (key === first) return;
    first = key;
    await pause(performance.now() - begun);
  }
}

/** Like `migrate`, with given migrations. */
export async function applyMigrations(
  client: MigrationClient,
  migrations: readonly CompiledMigration[] = compiledMigrations,
): Promise<MigrationReport> {
  const applied: string[] = [];
  for (;;) {
    const journal = await waiting(client, "read", () => readCommitted(client));
    checkJournal(journal, migrations);
    await nameMigrations(client, journal, migrations);
    const [migration] = pendingOf(journal, migrations);
    if (migration === undefined) return { applied };
    if (await waiting(client, "write", () => apply(client, migration))) applied.push(migration.tag);
  }
}

/**
 * Sets missing names in a journal that Drizzle 1.0 has created or upgraded. Drizzle would apply a migration without a
 * name again.
 */
async function nameMigrations(
  client: MigrationClient,
  journal: readonly AppliedMigration[],
  migrations: readonly CompiledMigration[],
): Promise<void> {
  const nameless = new Set(journal.filter(({ name }) => name === null).map(({ hash }) => hash));
  const named = migrations.filter(({ hash }) => nameless.has(hash));
  if (named.length === 0) return;
  const statements = named.map((migration) => ({
    sql: `update ${migrationsTable} set name = ? where hash = ? and name is null`,
    args: [folderOf(migration), migration.hash],
  }));
  await waiting(client, "write", () => client.batch(statements, "write"));
}

/**
 * Applies one migration. Returns false if another process was faster.
 *
 * The first statement inserts the row of the journal in the same transaction. It takes the write lock, and the slower
 * process of a race fails on it. A journal of Drizzle's migrator accepts a duplicate hash, but not a hash of NULL.
 */
async function apply(client: MigrationClient, migration: CompiledMigration): Promise<boolean> {
  const { tag, hash, when, statements } = migration;
  const isNamed = (await readJournalColumns(client)).has("name");
  const isChecked = statements.some((each) => losesParents.test(each));
  try {
    await client.migrate([
      ...journalStatements,
      {
        sql:
          `insert into ${migrationsTable} (hash, created_at${isNamed ? ", name, applied_at" : ""}) ` +
          `select iif(exists (select 1 from ${migrationsTable} where hash = new.hash), null, new.hash), created_at` +
          `${isNamed ? ", name, applied_at" : ""} from (select ? as hash, ? as created_at` +
          `${isNamed ? ", ? as name, ? as applied_at" : ""}) as new`,
        args: [hash, when, ...(isNamed ? [folderOf(migration), new Date().toISOString()] : [])],
      },
      ...(isChecked ? [`create table ${orphansTable} as select (${countOrphans}) as n`] : []),
      ...statements,
      ...(isChecked ? [refuseMoreOrphans, `drop table ${orphansTable}`] : []),
    ]);
    return true;
  } catch (error) {
    const message = messagesOf(error);
    if (message.includes(`NOT NULL constraint failed: ${migrationsTable}.hash`)) {
      const applied = await readCommitted(client);
      if (applied.some((other) => other.hash === hash)) return false;
      throw new SchemaOutOfDateError(
        `migration ${tag} was undone: it would leave rows whose parent is gone`,
        { cause: error },
      );
    }
    const drift = describeDrift(message);
    if (drift === null) throw error;
    throw new SchemaOutOfDateError(`migration ${tag} cannot be applied: ${drift}`, {
      cause: error,
    });
  }
}

/** Statements that can remove the parent of a row while foreign keys are off. */
const losesParents = /^\s*(drop table|delete|insert|update|replace)\b/i;

const orphansTable = "__gorkflow_orphans";

/** Only in our tables: rows of the app may lack their parents. */
const countOrphans = `select count(*) from sqlite_schema as t join pragma_foreign_key_check(t.name)
  where t.type = 'table' and t.name collate nocase in (${Object.values(schema)
    .flatMap((table) => (is(table, SQLiteTable) ? [`'${getTableName(table)}'`] : []))
    .join(", ")})`;

/** Inserts a hash of NULL, which fails and rolls back, if more rows than before lack their parent. */
const refuseMoreOrphans =
  `insert into ${migrationsTable} (hash) ` +
  `select null where (${countOrphans}) > (select n from ${orphansTable})`;

/** The error that names the drift of the tables and its remedy; null for any other failure. */
function describeDrift(message: string): string | null {
  const found = drifts.flatMap(([pattern, explain]) => {
    const match = pattern.exec(message);
    return match === null ? [] : [explain(match[1] ?? match[2] ?? "")];
  });
  return found[0] ?? null;
}

const again = "and run `gorkflow migrate` again";

const drifts: readonly (readonly [RegExp, (name: string) => string])[] = [
  [
    new RegExp(`UNIQUE constraint failed: (${migrationsTable}\\.hash)`),
    () =>
      `the journal ${migrationsTable} has a migration twice: delete all but one row of each hash, ${again}`,
  ],
  [
    /duplicate column name: ([^\s;]+)/,
    (name) => `something else has added the column ${name}: rename or drop it, ${again}`,
  ],
  [
    /index ([^\s;]+) already exists/,
    (name) => `something else has made the index ${name}: drop it, ${again}`,
  ],
  [
    /(?:table|view) [`"]?([^\s;`"]+)[`"]? already exists|already (?:an index|a table) named ([^\s;]+)|already another table or index/,
    (name) =>
      `${name === "" ? "a table" : name} is already there. If other migrations made our tables, open the store with ` +
      "`migrate: false`, and let the same migrations bring them up to date. If it is the app's own, rename it, or give " +
      "our tables a prefix with `createWorkflowTables`",
  ],
  [
    /no such table: (?:main\.)?([^\s;]+)/,
    (name) =>
      `the table ${name} is missing: restore a backup, or make it again as \`gorkflow migrate --sql\` has it, ${again}`,
  ],
  [
    /(?:no such column: |has no column named )([^\s;]+)/,
    (name) => `the column ${name} is missing: rename it back, or restore a backup, ${again}`,
  ],
  [
    /error in (?:view|trigger) ([^\s:;]+)/,
    (name) => `the view or trigger ${name} names what is not there: drop it, ${again}`,
  ],
];

async function readCommitted(client: MigrationClient): Promise<AppliedMigration[]> {
  return (await readJournal(client)) ?? [];
}

/**
 * Retries `step` while another connection holds the lock.
 *
 * A statement of @libsql/client that met a lock makes its connection unusable, and `reconnect` ends the transactions of the
 * app. So a script, which has no such effect, first waits until a write can have the lock.
 */
async function waiting<T>(
  client: MigrationClient,
  mode: "read" | "write",
  step: () => Promise<T>,
): Promise<T> {
  const policy = retryFor(busyTimeoutMs, isBusy, new Backoff(10, 25));
  let isWaiting = false;
  try {
    return await retry(
      async () => {
        if (mode === "write" && client.protocol === "file") {
          isWaiting = true;
          await client.executeMultiple?.("begin immediate; rollback");
          isWaiting = false;
        }
        return step();
      },
      (error) => {
        const ms = policy(error);
        if (ms !== null && !isWaiting) client.reconnect();
        return ms;
      },
    );
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new StoreBusyError("the database stayed locked while it was to be migrated", {
      cause: error,
    });
  }
}

function isBusy(error: unknown): boolean {
  if (error instanceof GorkflowError) return false;
  return /SQLITE_(BUSY|LOCKED)|database is locked|statements in progress/.test(messagesOf(error));
}

function messagesOf(error: unknown): string {
  const messages: string[] = [];
  for (let link = error; link instanceof Error; link = link.cause) {
    messages.push("code" in link ? String(link.code) : "", link.message);
  }
  return messages.join("\n");
}
