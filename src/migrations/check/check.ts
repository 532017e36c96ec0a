import { checkFolder } from "./folder-checks.ts";
import { readMigrationFolder } from "./migration-folder.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { findSchemaDrift, type Casing } from "./schema-drift.ts";

export interface MigrationCheck {
  /** The exports of the schema's files, as drizzle.config.ts points at them. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The folder that drizzle-kit writes to: `out` of drizzle.config.ts. */
  readonly folder: string;
  /** `casing` of drizzle.config.ts. */
  readonly casing?: Casing | undefined;
}

/**
 * Everything that is wrong with the migrations of a Drizzle project on SQLite or libSQL; empty when the folder
 * brings an empty database to exactly the schema.
 *
 * It needs drizzle-kit, and neither a database, nor version control, nor a terminal.
 *
 * @throws {InvalidArgumentError} when `folder` cannot be read.
 * @throws {UnsupportedError} when drizzle-kit is not installed.
 */
export async function checkMigrations({
  schema,
  folder: path,
  casing,
}: MigrationCheck): Promise<MigrationProblem[]> {
  const { folder, problems } = await readMigrationFolder(path);
  // Without the journal, everything else that could be said would follow from that.
  if (problems.length > 0) return problems.slice(0, 1);
  return [...checkFolder(folder), ...(await findSchemaDrift(schema, folder, casing))];
}
