import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "drizzle-kit/api";
import { compiledMigrations, type CompiledMigration } from "../../../src/migrations/compiled.ts";
import { schema } from "../../../src/schema/schema.ts";

/** A migration after the last one that drizzle-kit wrote for another default of a run's column: a rebuild. */
export async function plantRebuild(): Promise<CompiledMigration> {
  const before = await generateSQLiteDrizzleJson({ ...schema });
  const after = structuredClone(before);
  Object.assign(after.tables["workflow_runs"]?.columns["attempt"] ?? {}, { default: 1 });
  const statements = await generateSQLiteMigration(before, after);
  if (!statements.join("\n").includes("DROP TABLE `workflow_runs`")) {
    throw new Error("drizzle-kit has not rebuilt the table");
  }
  const when = (compiledMigrations.at(-1)?.when ?? 0) + 1;
  return { tag: "9999_rebuild", when, hash: "hash-of-rebuild", statements };
}
