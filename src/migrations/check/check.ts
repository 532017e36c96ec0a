import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
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

const checkSchema = z.strictObject({
  schema: z.custom<MigrationCheck["schema"]>(
    (value) => typeof value === "object" && value !== null,
    "must be the exports of the schema files",
  ),
  folder: z.string(),
  casing: z.optional(z.enum(["snake_case", "camelCase"])),
});

/**
 * Finds the problems of the migrations of a Drizzle project on SQLite or libSQL. Empty if the folder migrates an empty
 * database to exactly the schema. Needs drizzle-kit, but no database, git or terminal.
 *
 * @throws {InvalidArgumentError} for an invalid argument, or if `folder` cannot be read, or drizzle-kit refuses the schema.
 * @throws {UnsupportedError} if drizzle-kit is not installed, or not for the installed drizzle-orm.
 */
export async function checkMigrations(check: MigrationCheck): Promise<MigrationProblem[]> {
  const { schema, folder: path, casing } = parseArgument(checkSchema, check, "check");
  const { folder, problems } = await readMigrationFolder(path);
  // Without a journal, all other problems would be consequences.
  if (problems.length > 0) return problems.slice(0, 1);
  return [...checkFolder(folder), ...(await findSchemaDrift(schema, folder, casing))];
}
