import { Command, Option } from "commander";
import { migrationStatus, type MigrationStatus } from "../../migrations/journal.ts";
import { migrate } from "../../migrations/migrate.ts";
import { migrationScript } from "../../migrations/migration-script.ts";
import type { CommandContext } from "../context.ts";
import { withClient } from "../database.ts";
import { type DatabaseOptions, type JsonOptions, shared } from "../options.ts";
import { colors, escaped, print, printJson } from "../output/output.ts";

interface MigrateOptions extends DatabaseOptions, JsonOptions {
  readonly status?: true;
  readonly sql?: true;
}

export function migrateCommand(context: CommandContext): Command {
  return new Command("migrate")
    .addOption(shared.database())
    .addOption(
      new Option("--status", "show which migrations are applied; exit code 1 unless all are"),
    )
    .addOption(
      new Option("--sql", "print the SQL of all migrations, to apply it yourself").conflicts(
        "status",
      ),
    )
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Examples:
  gorkflow migrate --database file:./workflows.db
  gorkflow migrate --status                    in a deployment: is the database ready for this version?
  gorkflow migrate --sql > migrations.sql      for a database that you migrate with other tools`,
    )
    .action((options: MigrateOptions) => {
      if (options.sql) return showSql(options);
      return options.status ? showStatus(context, options) : applyAll(context, options);
    });
}

async function applyAll(context: CommandContext, options: MigrateOptions): Promise<void> {
  const { applied } = await withClient(context, options, "create", migrate);
  if (options.json) printJson({ applied });
  else if (applied.length === 0) print("the database is up to date");
  else for (const tag of applied) print(`${colors.green("applied")} ${tag}`);
}

async function showStatus(context: CommandContext, options: MigrateOptions): Promise<void> {
  const status = await withClient(context, options, "look", migrationStatus);
  if (status.state !== "current") context.foundSomething();
  if (options.json) printJson(status);
  else print(describeStatus(status));
}

function showSql({ json }: JsonOptions): void {
  if (json) printJson({ sql: migrationScript() });
  else print(migrationScript().trimEnd());
}

function describeStatus({ state, applied, pending, unknown }: MigrationStatus): string {
  return [
    stateSentences[state],
    ...applied.map((tag) => `${colors.green("applied")}  ${tag}`),
    ...pending.map((tag) => `${colors.yellow("pending")}  ${tag}`),
    ...unknown.map((hash) => `${colors.red("unknown")}  ${escaped(hash.slice(0, 16))}…`),
  ].join("\n");
}

const stateSentences = {
  empty: "no migration is applied yet: run gorkflow migrate",
  behind: "the database is behind this version: run gorkflow migrate",
  current: "the database is up to date",
  ahead: "a newer version of gorkflow migrated the database: upgrade this one",
  diverged: "the database has migrations that are not of this version, and are not newer",
} satisfies Record<MigrationStatus["state"], string>;
