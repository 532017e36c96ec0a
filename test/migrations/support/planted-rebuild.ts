import { compiledMigrations, type CompiledMigration } from "../../../src/migrations/compiled.ts";
import { schema } from "../../../src/schema/schema.ts";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "./drizzle-kit.ts";

/** A migration after the last one that drizzle-kit wrote for another default of a run's column: a rebuild. */
export async function plantRebuild(): Promise<CompiledMigration> {
  const before = await generateSQLiteDrizzleJson({ ...schema });
  const after = structuredClone(before);
  Object.assign(after.tables?.["workflow_runs"]?.columns["attempt"] ?? {}, { default: 1 });
  const column = after.ddl?.find(
    ({ table, name }) => table === "workflow_runs" && name === "attempt",
  );
  Object.assign(column ?? {}, { default: "1" });
  const statements = await generateSQLiteMigration(before, after);
  if (!statements.join("\n").includes("DROP TABLE `workflow_runs`")) {
    throw new Error("drizzle-kit has not rebuilt the table");
  }
  // Drizzle 1.0 notes whole seconds.
  const when = (compiledMigrations.at(-1)?.when ?? 0) + 1000;
  return { tag: "9999_rebuild", when, hash: "hash-of-rebuild", statements };
}
