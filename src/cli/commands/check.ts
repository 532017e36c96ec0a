import { execFile } from "node:child_process";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { Command, Option } from "commander";
import { checkMigrations } from "../../migrations/check/check.ts";
import {
  isUnwritten,
  readMigrationFolder,
  recordMigrationHashes,
} from "../../migrations/check/migration-folder.ts";
import type { MigrationProblem } from "../../migrations/check/migration-problems.ts";
import type { CommandContext } from "../context.ts";
import { readDrizzleConfig, readDrizzleSchema } from "../drizzle-project.ts";
import { CommandError } from "../errors.ts";
import { reportFailure } from "../failures.ts";
import { jsonOption, type JsonOptions } from "../options.ts";
import { colors, escaped, print, printJson, reserveOutput } from "../output/output.ts";

interface CheckOptions extends JsonOptions {
  readonly config?: string;
  /** True if no name follows. */
  readonly record?: true | readonly string[];
  readonly format: "text" | "json" | "github";
}

export function checkCommand(context: CommandContext): Command {
  return new Command("check")
    .option(
      "-c, --config <file>",
      "drizzle-kit's configuration (default: drizzle.config.ts, .js or .json)",
    )
    .option(
      "--record [migrations...]",
      "first record the hashes of new migrations, so that edits of them are noticed; of those named, again",
    )
    .addOption(
      new Option("--format <form>", "github prints annotations for GitHub Actions")
        .choices(["text", "json", "github"])
        .default("text"),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
It finds what drizzle-kit check does not: a schema that is ahead of its migrations, SQL that is not in the journal,
migrations that were edited, are out of order or have lost their breakpoints. It needs drizzle-kit, and no database.
Exit code 1 when there is drift.

--record leaves a migration without SQL alone: write it, and record it then. One that git has not committed yet is
recorded again when it was edited; name any other: --record 0003_add_orders.

Examples:
  gorkflow check --record    after drizzle-kit generate; commit what it writes with the migration
  gorkflow check             in CI
  gorkflow check --format github
  gorkflow check --config packages/db/drizzle.config.ts
  gorkflow check --json | jq '.problems[].message'`,
    )
    .action(async ({ config, json, record, format }: CheckOptions) => {
      // Configurations and schemas may print, and some end the process.
      reserveOutput();
      const stopGuarding = guardAgainstExit(json === true);
      const { folder, ...report } = await check(config, record).finally(stopGuarding);
      if (report.problems.length > 0) context.foundSomething();
      if (json || format === "json") printJson(report);
      else if (format === "github") {
        const root = context.env["GITHUB_WORKSPACE"] ?? process.cwd();
        for (const problem of report.problems) print(annotate(problem, relative(root, folder)));
      } else print(describe(report, folder));
      // Connections that the schema opened would keep the process alive.
      setTimeout(() => process.exit(), lingeringMs).unref();
    });
}

interface Report {
  readonly recorded: readonly string[];
  /** Migrations of `drizzle-kit generate --custom` without SQL. `--record` skips them. */
  readonly unwritten: readonly string[];
  readonly problems: readonly MigrationProblem[];
}

async function check(
  path: string | undefined,
  record: CheckOptions["record"],
): Promise<Report & { readonly folder: string }> {
  const config = await readDrizzleConfig(path);
  const { out: folder, casing } = config;
  const schema = await readDrizzleSchema(config);
  if (record === undefined) {
    const problems = await checkMigrations({ schema, folder, casing });
    return { folder, recorded: [], unwritten: [], problems };
  }
  const again = [...(record === true ? [] : record), ...(await uncommittedIn(folder))];
  const recorded = await recordMigrationHashes(folder, { again });
  const unwritten = await unwrittenIn(folder);
  const found = await checkMigrations({ schema, folder, casing });
  const problems = found.filter((problem) => !isOfUnwritten(problem, unwritten));
  return { folder, recorded, unwritten, problems };
}

/** The time to flush the output. */
const lingeringMs = 250;

/** Reports an error if a module of the project ends the process. */
function guardAgainstExit(json: boolean): () => void {
  const report = () => {
    const error = new CommandError({
      code: "MODULE_EXITED",
      message: "the configuration or the schema ended the process",
      remedy: "npx tsx shows where",
    });
    process.exitCode = reportFailure(error, { json, goOn: "" });
  };
  process.once("exit", report);
  return () => process.off("exit", report);
}

/** Migrations that are not in HEAD; none if the folder is not in git. */
async function uncommittedIn(path: string): Promise<string[]> {
  const git = (...args: string[]) => promisify(execFile)("git", args, { cwd: path });
  try {
    await git("rev-parse", "--is-inside-work-tree");
  } catch {
    return [];
  }
  // Before the first commit there is no HEAD.
  const committed = await git("ls-tree", "-z", "--name-only", "HEAD", "./").then(
    ({ stdout }) => new Set(stdout.split("\0")),
    () => new Set(),
  );
  const { folder } = await readMigrationFolder(path);
  return folder.entries.map(({ tag }) => tag).filter((tag) => !committed.has(`${tag}.sql`));
}

async function unwrittenIn(path: string): Promise<string[]> {
  const { folder } = await readMigrationFolder(path);
  return folder.entries.flatMap(({ tag }) => {
    const sql = folder.sql.get(tag);
    return sql !== undefined && isUnwritten(sql) ? [tag] : [];
  });
}

/** Removes problems of migrations without SQL, which are expected after `--record`. */
function isOfUnwritten({ code, file }: MigrationProblem, unwritten: readonly string[]): boolean {
  if (unwritten.length === 0) return false;
  // All other migrations are recorded now.
  if (code === "MIGRATION_NOT_RECORDED") return true;
  return code === "STATEMENT_EMPTY" && unwritten.some((tag) => file === `${tag}.sql`);
}

function describe({ recorded, unwritten, problems }: Report, folder: string): string {
  return [
    ...recorded.map((tag) => `${colors.green("recorded")} ${escaped(tag)}`),
    ...unwritten.map(
      (tag) =>
        `${colors.yellow("not recorded")} ${escaped(tag)}: write its SQL, and record it then`,
    ),
    ...problems.map(
      ({ code, message, remedy }) =>
        `${colors.red("error")} ${colors.dim(code)} ${escaped(message)}\n  ${escaped(remedy)}`,
    ),
    problems.length === 0
      ? colors.green(`${escaped(folder)} brings an empty database to exactly the schema`)
      : `${problems.length} problem(s)`,
  ].join("\n");
}

/** A workflow command of GitHub Actions: an error in a file, relative to the root of the repository. */
function annotate({ code, file, message, remedy }: MigrationProblem, folder: string): string {
  const place = file === null ? "" : `file=${property(join(folder, file))},`;
  return `::error ${place}title=${property(code)}::${data(`${message}: ${remedy}`)}`;
}

function data(text: string): string {
  return escaped(text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A"));
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
