import { SchemaOutOfDateError, SchemaTooNewError } from "../errors.ts";
import { rethrow } from "../stores/sqlite/errors/translate.ts";
import { compiledMigrations, type CompiledMigration } from "./compiled.ts";
import { clientOf, type MigrationClient, type MigrationTarget } from "./migration-client.ts";

/** The table of applied migrations. It is separate from the app's own journal. */
export const migrationsTable = "__gorkflow_migrations";

/** Creates the journal. It has the columns of Drizzle's journal, so that both migrators can be used in turn. */
export const journalStatements = [
  `create table if not exists ${migrationsTable} (id serial primary key, hash text not null, created_at numeric)`,
  `create unique index if not exists ${migrationsTable}_hash_idx on ${migrationsTable} (hash)`,
] as const;

/** A row of the journal. `when` is the time at which the migration was generated, and not applied. */
export interface AppliedMigration {
  readonly hash: string;
  readonly when: number;
  /** The name by which Drizzle 1.0 knows it; undefined if the journal has no names yet. */
  readonly name?: string | null | undefined;
}

/** The state of the migrations of this version in a database. */
export interface MigrationStatus {
  readonly state: "empty" | "behind" | "current" | "ahead" | "diverged";
  /** Tags of the applied migrations of this version. */
  readonly applied: readonly string[];
  /** Tags of the pending migrations, in order. */
  readonly pending: readonly string[];
  /** Hashes of applied migrations that this version does not know. */
  readonly unknown: readonly string[];
}

/**
 * Returns the applied and pending migrations. Changes nothing.
 *
 * @throws {StoreConnectionError} if the database cannot be reached.
 */
export async function migrationStatus(target: MigrationTarget): Promise<MigrationStatus> {
  return compare((await readJournal(clientOf(target)).catch(rethrow("read"))) ?? []);
}

/** The rows of the journal; null if there is no journal. */
export async function readJournal(client: MigrationClient): Promise<AppliedMigration[] | null> {
  const columns = await readJournalColumns(client);
  if (columns.size === 0) return null;
  const isNamed = columns.has("name");
  const name = isNamed ? "name" : "null";
  const { rows } = await client.execute(`select hash, created_at, ${name} from ${migrationsTable}`);
  return rows.map((row) => ({
    hash: typeof row[0] === "string" ? row[0] : "",
    when: Number(row[1]),
    name: isNamed ? (row[2] as string | null) : undefined,
  }));
}

/** The names of the journal's columns; empty if there is no journal. */
export async function readJournalColumns(client: MigrationClient): Promise<ReadonlySet<string>> {
  // `sqlite_schema` is that of the main database. The pragma alone would find the journal of an attached one.
  const { rows } = await client.execute(
    `select c.name from sqlite_schema as t join pragma_table_info('${migrationsTable}') as c
     where t.type = 'table' and t.name = '${migrationsTable}' collate nocase`,
  );
  return new Set(rows.map((row) => row[0] as string));
}

/** The folder of a migration in the layout of drizzle-kit 1.0: Drizzle 1.0 knows it by this name. */
export function folderOf({ tag, when }: Pick<CompiledMigration, "tag" | "when">): string {
  const second = new Date(when).toISOString().replaceAll(/\D/g, "").slice(0, 14);
  return `${second}_${tag.replace(/^\d+_/, "")}`;
}

/** `migrations` are those of this version, in order. */
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
 * Passes if this version has every applied migration.
 *
 * @throws {SchemaTooNewError} if a newer version migrated the database.
 * @throws {SchemaOutOfDateError} if an applied migration was edited, or does not belong to this package.
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
