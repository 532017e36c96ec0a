import type { Client } from "@libsql/client";
import { SchemaOutOfDateError, SchemaTooNewError, UnsupportedError } from "../errors.ts";
import { compiledMigrations, type CompiledMigration } from "./compiled.ts";

/** Where the applied migrations are noted: beside an app's own journal, never in it. */
export const migrationsTable = "__gorkflow_migrations";

/** Make the journal, in the shape of Drizzle's own, so that its migrator and ours can follow one another. */
export const journalStatements = [
  `create table if not exists ${migrationsTable} (id serial primary key, hash text not null, created_at numeric)`,
  `create unique index if not exists ${migrationsTable}_hash_idx on ${migrationsTable} (hash)`,
] as const;

/** A Drizzle database on a libSQL client, or the client itself. */
export type MigrationTarget = Client | { readonly $client: Client };

/** @throws {UnsupportedError} for a Drizzle database on another driver. */
export function clientOf(target: MigrationTarget): Client {
  const client = "$client" in target ? target.$client : target;
  if (typeof (client as Partial<Client> | null)?.migrate === "function") return client;
  throw new UnsupportedError({
    feature: "migrations",
    reason: "they need a Drizzle database on a libSQL client, or the client itself",
  });
}

/** One row of the journal. `when` is the migration's own time, not that of its application. */
export interface AppliedMigration {
  readonly hash: string;
  readonly when: number;
}

/** What a database has of this version's migrations. */
export interface MigrationStatus {
  readonly state: "empty" | "behind" | "current" | "ahead" | "diverged";
  /** Tags of this version's migrations that are applied. */
  readonly applied: readonly string[];
  /** Tags that are still to be applied, in order. */
  readonly pending: readonly string[];
  /** Hashes of applied migrations that this version does not know. */
  readonly unknown: readonly string[];
}

/** What the database has; nothing is changed, and no table is made. */
export async function migrationStatus(target: MigrationTarget): Promise<MigrationStatus> {
  return compare((await readJournal(clientOf(target))) ?? []);
}

/** The journal's rows; null when there is no journal. */
export async function readJournal(client: Client): Promise<AppliedMigration[] | null> {
  const exists = await client.execute({
    sql: "select 1 from sqlite_schema where type = 'table' and name = ? collate nocase",
    args: [migrationsTable],
  });
  if (exists.rows.length === 0) return null;
  const { rows } = await client.execute(`select hash, created_at from ${migrationsTable}`);
  return rows.map((row) => ({
    hash: typeof row[0] === "string" ? row[0] : "",
    when: Number(row[1]),
  }));
}

/** `migrations` are this version's, in order. */
export function compare(
  applied: readonly AppliedMigration[],
  migrations: readonly CompiledMigration[] = compiledMigrations,
): MigrationStatus {
  const known = new Map(migrations.map((migration) => [migration.hash, migration]));
  const unknown = applied.filter(({ hash }) => !known.has(hash));
  const pending = pendingOf(applied, migrations);
  const newest = migrations.at(-1)?.when ?? 0;
  return {
    state: stateOf(applied, unknown, pending, newest),
    applied: applied.flatMap(({ hash }) => known.get(hash)?.tag ?? []),
    pending: pending.map(({ tag }) => tag),
    unknown: unknown.map(({ hash }) => hash),
  };
}

export function pendingOf(
  applied: readonly AppliedMigration[],
  migrations: readonly CompiledMigration[],
): CompiledMigration[] {
  const hashes = new Set(applied.map(({ hash }) => hash));
  return migrations.filter(({ hash }) => !hashes.has(hash));
}

function stateOf(
  applied: readonly AppliedMigration[],
  unknown: readonly AppliedMigration[],
  pending: readonly CompiledMigration[],
  newest: number,
): MigrationStatus["state"] {
  if (applied.length === 0) return "empty";
  if (unknown.some(({ when }) => when > newest)) return "ahead";
  if (unknown.length > 0) return "diverged";
  return pending.length > 0 ? "behind" : "current";
}

/**
 * Passes when every applied migration is one of this version's.
 *
 * @throws {SchemaTooNewError} when a newer version migrated the database.
 * @throws {SchemaOutOfDateError} when an applied migration was edited since, or is of another lineage.
 */
export function checkJournal(
  applied: readonly AppliedMigration[],
  migrations: readonly CompiledMigration[],
): void {
  const { state, unknown } = compare(applied, migrations);
  if (state === "ahead") {
    throw new SchemaTooNewError(
      `the database has ${unknown.length} migration(s) of a newer version: upgrade this package`,
    );
  }
  if (state === "diverged") {
    throw new SchemaOutOfDateError(
      `the journal ${migrationsTable} names migration(s) that this version does not have: a released migration ` +
        "was edited, or the database belongs to another build",
    );
  }
}
