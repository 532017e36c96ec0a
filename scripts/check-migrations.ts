import { readFileSync } from "node:fs";
import { checkMigrations } from "../src/migrations/check/check.ts";
import { migrationsFolder } from "../src/migrations/migrations-folder.ts";
import * as schema from "../src/schema/index.ts";
import { compiledModule, compileMigrations } from "./compile-migrations.ts";

for (const { message, remedy } of await checkMigrations({ schema, folder: migrationsFolder })) {
  console.error(`${message}\n  ${remedy}`);
  process.exitCode = 1;
}
if (readFileSync(compiledModule, "utf8") !== compileMigrations()) {
  console.error("src/migrations/compiled.ts is not what drizzle/ says\n  npm run db:generate");
  process.exitCode = 1;
}
