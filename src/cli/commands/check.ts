import { Command } from "commander";
import { checkMigrations } from "../../migrations/check.ts";
import { recordMigrationHashes } from "../../migrations/migration-folder.ts";
import type { MigrationProblem } from "../../migrations/migration-problems.ts";
import type { CommandContext } from "../context.ts";
import { readDrizzleConfig, readDrizzleSchema } from "../drizzle-project.ts";
import { jsonOption, type JsonOptions } from "../options.ts";
import { colors, print, printJson } from "../output.ts";

interface CheckOptions extends JsonOptions {
  readonly config?: string;
  readonly record?: true;
}

export function checkCommand(context: CommandContext): Command {
  return new Command("check")
    .option(
      "-c, --config <file>",
      "drizzle-kit's configuration (default: drizzle.config.ts, .js or .json)",
    )
    .option(
      "--record",
      "first record the hashes of migrations that are new, so that edits of them are noticed",
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
It finds what drizzle-kit check does not: a schema that is ahead of its migrations, SQL that is not in the journal,
migrations that were edited, are out of order or have lost their breakpoints. It needs drizzle-kit, and no database.
Exit code 1 when there is drift.

Examples:
  gorkflow check --record    after drizzle-kit generate; commit what it writes with the migration
  gorkflow check             in CI
  gorkflow check --config packages/db/drizzle.config.ts
  gorkflow check --json | jq '.problems[].message'`,
    )
    .action(async ({ config: path, json, record }: CheckOptions) => {
      const config = await readDrizzleConfig(path);
      const { out: folder, casing } = config;
      const schema = await readDrizzleSchema(config);
      const recorded = record ? await recordMigrationHashes(folder) : [];
      const problems = await checkMigrations({ schema, folder, casing });
      if (problems.length > 0) context.foundSomething();
      if (json) return printJson({ recorded, problems });
      for (const tag of recorded) print(`${colors.green("recorded")} ${tag}`);
      for (const problem of problems) print(describe(problem));
      print(
        problems.length === 0
          ? colors.green(`${folder} brings an empty database to exactly the schema`)
          : `${problems.length} problem(s)`,
      );
    });
}

function describe({ code, message, remedy }: MigrationProblem): string {
  return `${colors.red("error")} ${colors.dim(code)} ${message}\n  ${remedy}`;
}
