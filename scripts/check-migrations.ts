import { readFileSync } from "node:fs";
import { compiledModule, compileMigrations } from "./compile-migrations.ts";

if (readFileSync(compiledModule, "utf8") !== compileMigrations()) {
  console.error("src/migrations/compiled.ts is not what drizzle/ says: npm run db:generate");
  process.exitCode = 1;
}
