import { compiledMigrations, type CompiledMigration } from "./compiled.ts";
import { journalStatements, migrationsTable } from "./journal.ts";
import { sqlScript } from "./sql-statements.ts";

/**
 * One SQL script that makes this version's schema in a database without it, for tools of one's own: it also writes
 * the journal, so that `migrate` and `LibSQLStore.open` go on from there.
 *
 * Each migration is a transaction. A migration that is applied already fails on its journal row, first of all.
 */
export function migrationScript(
  migrations: readonly CompiledMigration[] = compiledMigrations,
): string {
  return sqlScript("-- Stop at the first error: sqlite3 -bail workflows.db < migrations.sql", [
    journalStatements,
    ...migrations.map(({ tag, hash, when, statements }) => [
      `-- ${tag}`,
      "BEGIN IMMEDIATE",
      `INSERT INTO ${migrationsTable} (hash, created_at) VALUES ('${hash}', ${when})`,
      ...statements,
      "COMMIT",
    ]),
  ]);
}
