import { execFile } from "node:child_process";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { Command, Option } from "commander";
import { checkMigrations } from "../../migrations/check/check.ts";
import {
  isUnwritten,
  readMigrationFolder,
  recordMigrationHashes,
  sqlFile,
  type MigrationFolder,
} from "../../migrations/check/migration-folder.ts";
import type { MigrationProblem } from "../../migrations/check/migration-problems.ts";
import type { CommandContext } from "../context.ts";
import { readDrizzleConfig, readDrizzleSchema, requireMigrations } from "../drizzle-project.ts";
import { guardAgainstExit } from "../failures.ts";
import { type JsonOptions, shared } from "../options.ts";
import { colors, escaped, print, printJson, reserveOutput } from "../output/output.ts";

interface CheckOptions extends JsonOptions {
  readonly config?: string;
  /** True without a name. */
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
      "first record the hashes of new migrations, so that later edits are found; named ones are recorded again",
    )
    .addOption(
      new Option("--format <form>", "the output; github prints annotations for GitHub Actions")
        .choices(["text", "json", "github"])
        .default("text"),
    )
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Finds what drizzle-kit check does not: a schema that is ahead of its migrations, SQL that is not in the journal, and
migrations that were edited, are out of order or lack breakpoints. Needs drizzle-kit, and no database. Exit code 1 if
there is drift.

--record skips a migration without SQL: write the SQL, then record it. An edited migration that is not committed to git
yet is recorded again; name any other one: --record 0003_add_orders.

Examples:
  gorkflow check --record    after drizzle-kit generate; commit the result with the migration
  gorkflow check             in CI
  gorkflow check --format github
  gorkflow check --config packages/db/drizzle.config.ts
  gorkflow check --json | jq '.problems[].message'`,
    )
    .action(async ({ config, json, record, format }: CheckOptions) => {
      // Configurations and schemas may print, and may end the process.
      reserveOutput();
      const isJson = json === true || format === "json";
      const stopGuarding = guardAgainstExit(isJson);
      const { folder, ...report } = await check(config, record).finally(stopGuarding);
      if (report.problems.length > 0) context.foundSomething();
      if (isJson) printJson(report);
      else if (format === "github") {
        const root = context.env["GITHUB_WORKSPACE"] ?? process.cwd();
        for (const problem of report.problems) print(annotate(problem, relative(root, folder)));
      } else print(describe(report, folder));
    });
}

interface Report {
  readonly recorded: readonly string[];
  /** Migrations of `drizzle-kit generate --custom` without SQL, which `--record` leaves alone. */
  readonly unwritten: readonly string[];
  readonly problems: readonly MigrationProblem[];
}

async function check(
  configFile: string | undefined,
  record: CheckOptions["record"],
): Promise<Report & { readonly folder: string }> {
  const config = await readDrizzleConfig(configFile);
  requireMigrations(config);
  const { out: path, casing } = config;
  const schema = await readDrizzleSchema(config);
  const findProblems = () => checkMigrations({ schema, folder: path, casing });
  if (record === undefined) {
    return { folder: path, recorded: [], unwritten: [], problems: await findProblems() };
  }
  const { folder } = await readMigrationFolder(path);
  const again = [...(record === true ? [] : record), ...(await uncommittedIn(folder))];
  const recorded = await recordMigrationHashes(path, { again });
  const unwritten = folder.entries.flatMap(({ tag }) => {
    const sql = folder.sql.get(tag);
    return sql !== undefined && isUnwritten(sql) ? [tag] : [];
  });
  // A migration whose SQL is not written yet is not a problem here. All others have just been recorded.
  const files = unwritten.map((tag) => sqlFile(folder, tag));
  const isExpected = ({ code, file }: MigrationProblem) =>
    (code === "MIGRATION_NOT_RECORDED" && files.length > 0) ||
    (code === "STATEMENT_EMPTY" && files.includes(file ?? ""));
  const problems = (await findProblems()).filter((problem) => !isExpected(problem));
  return { folder: path, recorded, unwritten, problems };
}

/** Migrations whose SQL is not in HEAD; empty outside a git repository. */
async function uncommittedIn(folder: MigrationFolder): Promise<string[]> {
  const git = (...args: string[]) => promisify(execFile)("git", args, { cwd: folder.path });
  try {
    await git("rev-parse", "--is-inside-work-tree");
  } catch {
    return [];
  }
  // There is no HEAD before the first commit.
  const committed = await git("ls-tree", "-r", "-z", "--name-only", "HEAD", "./").then(
    ({ stdout }) => new Set(stdout.split("\0")),
    () => new Set(),
  );
  return folder.entries.map(({ tag }) => tag).filter((tag) => !committed.has(sqlFile(folder, tag)));
}

function describe({ recorded, unwritten, problems }: Report, folder: string): string {
  return [
    ...recorded.map((tag) => `${colors.green("recorded")} ${escaped(tag)}`),
    ...unwritten.map(
      (tag) => `${colors.yellow("not recorded")} ${escaped(tag)}: write its SQL, then record it`,
    ),
    ...problems.map(
      ({ code, message, remedy }) =>
        `${colors.red("error")} ${colors.dim(code)} ${escaped(message)}\n  ${escaped(remedy)}`,
    ),
    problems.length === 0
      ? colors.green(`${escaped(folder)} creates exactly the schema`)
      : `${problems.length} problem(s)`,
  ].join("\n");
}

/** A workflow command of GitHub Actions: an error in a file. Its path is relative to the root of the repository. */
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
