import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { recordMigrationHashes } from "../src/migrations/check/migration-folder.ts";
import { upgradedFolder, upgradeMigrations } from "./upgrade-migrations.ts";
import { compiledModule, compileMigrations, dropIndexesIfTheyExist } from "./compile-migrations.ts";

const folder = fileURLToPath(new URL("../drizzle", import.meta.url));
const filesOf = () => readdirSync(folder).filter((name) => name.endsWith(".sql"));

const options = process.argv.slice(2);
if (!options.some((option) => option.startsWith("--name"))) {
  throw new Error("every migration has a name: npm run db:generate -- --name add-something");
}
const before = new Set(filesOf());
const { status } = spawnSync("drizzle-kit", ["generate", ...options], { stdio: "inherit" });
// drizzle-kit exits with 0 even if it failed.
const written = filesOf().filter((name) => !before.has(name));
if (status !== 0 || written.length === 0) {
  throw new Error("drizzle-kit wrote no migration");
}
for (const name of written) {
  const file = join(folder, name);
  writeFileSync(file, dropIndexesIfTheyExist(readFileSync(file, "utf8")));
}
// Drizzle 1.0 notes whole seconds: the migrator of 0.45 would apply again what is later than that.
const journal = join(folder, "meta/_journal.json");
writeFileSync(journal, readFileSync(journal, "utf8").replaceAll(/("when": \d+)\d{3}\b/g, "$1000"));
await recordMigrationHashes(folder);
upgradeMigrations(upgradedFolder);
writeFileSync(compiledModule, compileMigrations());
// A new process, because this one has loaded the old module.
spawnSync("tsx", ["scripts/make-schema-fixtures.ts"], { stdio: "inherit" });
