import { checkFolder } from "./folder-checks.ts";
import { readMigrationFolder } from "./migration-folder.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { findSchemaDrift, type Casing } from "./schema-drift.ts";

export interface MigrationCheck {
  /** The exports of the schema files in drizzle.config.ts. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** The folder that drizzle-kit writes to: `out` of drizzle.config.ts. */
  readonly folder: string;
  /** `casing` of drizzle.config.ts. Like drizzle-kit 1.0, the check ignores it there: table creators have it. */
  readonly casing?: Casing | undefined;
}

/**
 * Finds the problems of the migrations of a Drizzle project on SQLite or libSQL. Empty if the folder migrates an empty
 * database to exactly the schema. Needs drizzle-kit, but no database, git or terminal.
 *
 * @throws {InvalidArgumentError} if `folder` cannot be read, or drizzle-kit refuses the schema.
 * @throws {UnsupportedError} if drizzle-kit is not installed, or not for the installed drizzle-orm.
 */
export async function checkMigrations({
  schema,
  folder: path,
  casing,
}: MigrationCheck): Promise<MigrationProblem[]> {
  const { folder, problems } = await readMigrationFolder(path);
  // Without a journal, all other problems would be consequences.
  if (problems.length > 0) return problems.slice(0, 1);
  return [...checkFolder(folder), ...(await findSchemaDrift(schema, folder, casing))];
}
