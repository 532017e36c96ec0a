import { statementsOf } from "../sql-tokens.ts";
import { compiledMigrations, type CompiledMigration } from "./compiled.ts";
import { journalStatements, migrationsTable } from "./journal.ts";

/**
 * An SQL script that creates this version's schema in a database without it, for an app's own tools. It also writes the
 * journal, so that `migrate` and `LibSQLStore.open` can continue from there.
 *
 * Each migration is a transaction. One that is applied already fails on its journal row, before it changes anything.
 * Foreign keys are off in the script, so that dropping a table deletes no rows.
 */
export function migrationScript(
  migrations: readonly CompiledMigration[] = compiledMigrations,
): string {
  const statements = migrations.flatMap(({ tag, hash, when, statements: changes }) => [
    `-- ${tag}`,
    "BEGIN IMMEDIATE",
    `INSERT INTO ${migrationsTable} (hash, created_at) VALUES ('${hash}', ${when})`,
    ...changes,
    "COMMIT",
  ]);
  return [
    "-- Stop at the first error: sqlite3 -bail workflows.db < migrations.sql",
    "PRAGMA foreign_keys=OFF",
    ...journalStatements,
    ...statements,
    "PRAGMA foreign_keys=ON",
    "",
  ]
    .map((each) => (statementsOf(each).length === 0 ? each : each.trimEnd().replace(/;?$/, ";")))
    .join("\n");
}
