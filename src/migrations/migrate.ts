import type { Client } from "@libsql/client";
import { GorkflowError, SchemaOutOfDateError, StoreBusyError } from "../errors.ts";
import { compiledMigrations, type CompiledMigration } from "./compiled.ts";
import {
  checkJournal,
  clientOf,
  journalStatements,
  migrationsTable,
  pendingOf,
  readJournal,
  type AppliedMigration,
  type MigrationTarget,
} from "./journal.ts";

/** How long the lock of another process that migrates is waited for. */
const busyTimeoutMs = 10_000;

export interface MigrationReport {
  /** Tags of the migrations that this call applied, in order. */
  readonly applied: readonly string[];
}

/**
 * Brings the database to this version's schema. Each migration is applied entirely or not at all, and once,
 * however many processes ask for it at the same time; the others wait and go on.
 *
 * @throws {SchemaTooNewError} when a newer version migrated the database; nothing is changed.
 * @throws {SchemaOutOfDateError} when the tables are there without our journal, or the journal names a
 *   migration that this version does not have; nothing is changed. Also when a migration would leave rows
 *   whose parent is gone: it is undone.
 */
export function migrate(target: MigrationTarget): Promise<MigrationReport> {
  return applyMigrations(clientOf(target), compiledMigrations);
}

/** `migrate`, with the migrations of any version. */
export async function applyMigrations(
  client: Client,
  migrations: readonly CompiledMigration[],
): Promise<MigrationReport> {
  const applied: string[] = [];
  for (;;) {
    const journal = await waiting(client, () => readCommitted(client));
    checkJournal(journal, migrations);
    const [migration] = pendingOf(journal, migrations);
    if (migration === undefined) return { applied };
    if (await waiting(client, () => apply(client, migration))) applied.push(migration.tag);
  }
}

/**
 * Applies one migration; false when another process was faster.
 *
 * The journal comes first, in the same transaction, so that one that fails leaves none: it takes the write lock, and
 * its row is what the loser of a race fails on. A journal that Drizzle's migrator has made takes a hash twice, but
 * none that is NULL.
 */
async function apply(
  client: Client,
  { tag, hash, when, statements }: CompiledMigration,
): Promise<boolean> {
  const orphans = await countOrphans(client);
  try {
    await client.migrate([
      ...journalStatements,
      {
        sql:
          `insert into ${migrationsTable} (hash, created_at) ` +
          `select iif(exists (select 1 from ${migrationsTable} where hash = ?1), null, ?1), ?2`,
        args: [hash, when],
      },
      ...statements,
      {
        // Foreign keys are off meanwhile. A hash of NULL is refused, and undoes it all, when one is broken now.
        sql:
          `insert into ${migrationsTable} (hash) ` +
          "select null where (select count(*) from pragma_foreign_key_check) > ?",
        args: [orphans],
      },
    ]);
    return true;
  } catch (error) {
    const message = messagesOf(error);
    if (message.includes(`${migrationsTable}.hash`)) {
      const applied = await readCommitted(client);
      if (applied.some((migration) => migration.hash === hash)) return false;
      throw new SchemaOutOfDateError(
        `migration ${tag} was undone: it would leave rows whose parent is gone`,
        { cause: error },
      );
    }
    if (message.includes("already exists")) {
      throw new SchemaOutOfDateError(
        `migration ${tag} would make what is already there: the tables were made by other migrations than ` +
          "these. Open the store with `migrate: false`, and let the same migrations bring them up to date",
        { cause: error },
      );
    }
    throw error;
  }
}

/** Rows whose parent is gone already: they are no reason to refuse a migration. */
async function countOrphans(client: Client): Promise<number> {
  const { rows } = await client.execute("select count(*) from pragma_foreign_key_check");
  return Number(rows[0]?.[0]);
}

async function readCommitted(client: Client): Promise<AppliedMigration[]> {
  return (await readJournal(client)) ?? [];
}

/** Runs `step` again while another connection holds the lock. */
async function waiting<T>(client: Client, step: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + busyTimeoutMs;
  for (;;) {
    try {
      // Each try follows the failure of the one before.
      return await step();
    } catch (error) {
      if (error instanceof GorkflowError || !isBusy(error)) throw error;
      if (Date.now() > deadline) {
        throw new StoreBusyError("the database stayed locked while it was to be migrated", {
          cause: error,
        });
      }
      // A statement of @libsql/client that met a lock would spoil what follows on its connection.
      client.reconnect();
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20));
    }
  }
}

function isBusy(error: unknown): boolean {
  return /SQLITE_BUSY|database is locked|statements in progress/.test(messagesOf(error));
}

function messagesOf(error: unknown): string {
  const messages: string[] = [];
  for (let link = error; link instanceof Error; link = link.cause) {
    messages.push("code" in link ? String(link.code) : "", link.message);
  }
  return messages.join("\n");
}
