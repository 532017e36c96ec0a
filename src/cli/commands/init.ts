import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { extname, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Command, Option } from "commander";
import { getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { createWorkflowTables } from "../../schema/tables.ts";
import type { CommandContext } from "../context.ts";
import {
  configWith,
  exportsWith,
  readDrizzleConfig,
  readDrizzleSchema,
  schemaFiles,
  type DrizzleConfig,
} from "../drizzle-project.ts";
import { CommandError } from "../errors.ts";
import { guardAgainstExit } from "../failures.ts";
import { type JsonOptions, shared } from "../options.ts";
import { print, printJson, reserveOutput } from "../output/output.ts";

interface InitOptions extends JsonOptions {
  readonly config?: string;
  readonly prefix?: string;
  readonly migrations: "drizzle-kit" | "gorkflow";
  readonly dryRun?: boolean;
}

interface Change {
  readonly file: string;
  readonly change: string;
  /** The text of the file afterwards. Null if the user has to make the change. */
  readonly text: string | null;
}

export function initCommand(context: CommandContext): Command {
  return new Command("init")
    .option(
      "-c, --config <file>",
      "drizzle-kit's configuration (default: drizzle.config.ts, .js or .json)",
    )
    .option("--prefix <text>", "the beginning of the names of the tables: app_")
    .addOption(
      new Option("--migrations <by>", "whose migrations create the tables")
        .choices(["drizzle-kit", "gorkflow"])
        .default("drizzle-kit"),
    )
    .option("--dry-run", "only print what would change")
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Adds the workflow tables to the schema of a Drizzle project, and hides them from drizzle-kit push, which would drop or
rebuild them. With the tables in the schema, push then fails once they exist: use drizzle-kit generate and migrate. With
--migrations gorkflow, the tables are only hidden: gorkflow migrate creates them, or the store when it opens, and push
works. A second call changes nothing. Exit code 1 if a change is left to you.

Examples:
  gorkflow init --dry-run
  gorkflow init --prefix app_
  gorkflow init --migrations gorkflow`,
    )
    .action(async ({ config: given, dryRun = false, json, ...options }: InitOptions) => {
      // Configurations and schemas may print, and may end the process.
      reserveOutput();
      const stopGuarding = guardAgainstExit(json === true);
      const changes = await findChanges(given, options).finally(stopGuarding);
      if (!dryRun) for (const { file, text } of changes) if (text !== null) replaceFile(file, text);
      if (changes.some(({ text }) => text === null)) context.foundSomething();
      if (json) {
        const shown = changes.map(({ file, change, text }) => ({
          file,
          change,
          isLeftToYou: text === null,
        }));
        printJson({ dryRun, changes: shown });
      } else print(describe(changes, dryRun, options));
    });
}

/** Replaces a file completely or not at all. @throws {CommandError} if it cannot be written. */
function replaceFile(file: string, text: string): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  const target = mode === undefined ? file : realpathSync(file);
  const partial = `${target}.partial`;
  try {
    if (mode !== undefined) accessSync(target, constants.W_OK);
    writeFileSync(partial, text);
    if (mode !== undefined) chmodSync(partial, mode);
    renameSync(partial, target);
  } catch (cause) {
    rmSync(partial, { force: true });
    const { code } = cause as NodeJS.ErrnoException;
    const message = `${file} cannot be written (${code})`;
    const remedy = "run the command again when it can: it makes the changes that are left";
    throw new CommandError({ code: "FILE_NOT_WRITTEN", message, remedy }, { cause });
  }
}

async function findChanges(
  configFile: string | undefined,
  options: Pick<InitOptions, "migrations" | "prefix">,
): Promise<Change[]> {
  const config = await readDrizzleConfig(configFile);
  const inSchema = options.migrations === "drizzle-kit" ? await schemaChange(config, options) : [];
  return [...inSchema, ...(await filterChange(config, options))];
}

const exportNames = [
  "workflowRuns",
  "stepExecutions",
  "stepAttempts",
  "stepOutputs",
  "workflowState",
  "workflowPauses",
];

/** The tables as exports of the schema, unless it has them. */
async function schemaChange(
  config: DrizzleConfig,
  { prefix }: Pick<InitOptions, "prefix">,
): Promise<Change[]> {
  const wanted = tableNames(createWorkflowTables({ prefix: prefix ?? "" }));
  const isIn = (exported: Readonly<Record<string, unknown>>) => {
    const names = new Set(tableNames(exported));
    return (name: string) => names.has(name);
  };
  const current = await readDrizzleSchema(config);
  if (wanted.every(isIn(current))) return [];
  const folder = config.schema.find((path) =>
    statSync(path, { throwIfNoEntry: false })?.isDirectory(),
  );
  const [first = ""] = await schemaFiles(config.schema);
  const file = folder === undefined ? first : join(folder, `workflow-tables${extname(first)}`);
  // An app that names the tables lacks those of later versions.
  const missing = exportNames.filter((_, index) => !isIn(current)(wanted[index] ?? ""));
  const what = missing.length === wanted.length ? "the workflow tables" : missing.join(", ");
  const change = `export ${what}${prefix === undefined ? "" : ` with the prefix ${prefix}`} of gorkflow/schema`;
  const text = withTables(existsSync(file) ? readFileSync(file, "utf8") : "", prefix);
  const changed = await exportsWith(file, text);
  const isSafe =
    !isCommonJs(readFileSync(first, "utf8")) &&
    !wanted.some(isIn(current)) &&
    changed !== null &&
    wanted.every(isIn(changed));
  return [{ file, change, text: isSafe ? text : null }];
}

function tableNames(exported: Readonly<Record<string, unknown>>): string[] {
  return Object.values(exported).flatMap((each) =>
    is(each, SQLiteTable) ? [getTableName(each)] : [],
  );
}

function withTables(text: string, prefix: string | undefined): string {
  const lineEnd = lineEndOf(text);
  const before = text === "" ? "" : `${text.endsWith("\n") ? "" : lineEnd}${lineEnd}`;
  if (prefix === undefined) return `${text}${before}export * from "gorkflow/schema";${lineEnd}`;
  const line = `import { createWorkflowTables } from "gorkflow/schema";${lineEnd}`;
  const place = Math.max(text.search(/^import\b/m), text.startsWith("\uFEFF") ? 1 : 0);
  const options = `{ prefix: ${JSON.stringify(prefix)} }`;
  const names = exportNames.map((name) => `  ${name},${lineEnd}`).join("");
  const tables = `export const {${lineEnd}${names}} = createWorkflowTables(${options});${lineEnd}`;
  const between = text === "" ? lineEnd : before;
  return `${text.slice(0, place)}${line}${text.slice(place)}${between}${tables}`;
}

function lineEndOf(text: string): string {
  return text.includes("\r\n") ? "\r\n" : "\n";
}

function isCommonJs(text: string): boolean {
  return /\bmodule\.exports\b|\bexports\.\w+ *=/.test(text);
}

/** A `tablesFilter` that hides the tables from `drizzle-kit push`, and no other table of the app. */
async function filterChange(
  config: DrizzleConfig,
  { prefix = "" }: Pick<InitOptions, "prefix">,
): Promise<Change[]> {
  const { path: file, tablesFilter = [] } = config;
  const ours = [...tableNames(createWorkflowTables({ prefix })), "__gorkflow_migrations"];
  const others = tableNames(await readDrizzleSchema(config)).filter((name) => !ours.includes(name));
  const patternOf = (start: string) => {
    const like = others.filter((name) => name.startsWith(start));
    const rest = like.map((name) => name.slice(start.length));
    return `!${start}${rest.length === 0 ? "*" : `!(${rest.join("|")})`}`;
  };
  const wanted = [patternOf(`${prefix}workflow_`), patternOf(`${prefix}step_`), "!__gorkflow_*"];
  const missing = wanted.filter((pattern) => !tablesFilter.includes(pattern));
  const patterns = missing.map((pattern) => JSON.stringify(pattern)).join(", ");
  const broad = tablesFilter.filter(
    (pattern) =>
      pattern.startsWith("!") &&
      [ours, others].every((names) => names.some((name) => mayMatch(pattern.slice(1), name))),
  );
  if (broad.length > 0) {
    const named = broad.map((pattern) => JSON.stringify(pattern)).join(", ");
    const change = `replace ${named} in tablesFilter, which also hides tables of the schema, by ${patterns}`;
    return [{ file, change, text: null }];
  }
  if (missing.length === 0) return [];
  const chosen = tablesFilter.filter((pattern) => !pattern.startsWith("!"));
  if (chosen.length > 0 && !chosen.includes("*")) {
    // Beside a pattern that chooses tables, one with `!` would show all other tables to push, which drops them.
    const seen = chosen.filter((pattern) => ours.some((name) => mayMatch(pattern, name)));
    return seen.map((pattern) => ({
      file,
      change: `exclude the workflow tables inside the pattern ${JSON.stringify(pattern)} of tablesFilter, as in "${prefix}!(workflow_*|step_*)"`,
      text: null,
    }));
  }
  const change = `add ${patterns} to tablesFilter`;
  return [{ file, change, text: await withFilter(config, missing, patterns) }];
}

/** Also true for patterns that are not evaluated here, with `?`, `[` or `{`. */
function mayMatch(pattern: string, name: string): boolean {
  if (!/^[\w*-]*(?:!\([\w*|-]+\))?$/.test(pattern)) return true;
  const source = pattern.replaceAll("*", ".*").replace(/!\((.+)\)$/, "(?!(?:$1)$).*");
  return new RegExp(`^${source}$`).test(name);
}

/** The text of the configuration with the patterns; null if it has an unusual form. */
async function withFilter(
  config: DrizzleConfig,
  missing: readonly string[],
  patterns: string,
): Promise<string | null> {
  const { path, tablesFilter = [] } = config;
  const text = readFileSync(path, "utf8");
  const name = extname(path) === ".json" ? '"tablesFilter"' : "tablesFilter";
  const field = `${lineEndOf(text)}  ${name}: [${patterns}],`;
  const inList = tablesFilter.length === 0 ? patterns : `${patterns}, `;
  const expected = { ...config, tablesFilter: [...missing, ...tablesFilter] };
  const places =
    config.tablesFilter === undefined
      ? [/\bexport default (?:defineConfig\()?\s*\{/g, /[=(]\s*\{/g, /^\s*\{/g]
      : [/\btablesFilter["']?\s*:\s*\[/g];
  // A place may be in a comment, or belong to another object.
  const found = places.flatMap((place) => Array.from(text.matchAll(place)));
  for (const { 0: beginning, index } of found) {
    const end = index + beginning.length;
    const added = config.tablesFilter === undefined ? field : inList;
    const changed = text.slice(0, end) + added + text.slice(end);
    if (isDeepStrictEqual(await configWith(path, changed), expected)) return changed;
  }
  return null;
}

function describe(
  changes: readonly Change[],
  dryRun: boolean,
  { migrations, prefix }: InitOptions,
): string {
  const done = dryRun ? "would" : "did";
  const lines = changes.map(
    ({ file, change, text }) => `${text === null ? "left to you" : done}: ${file}: ${change}`,
  );
  const store =
    prefix === undefined
      ? "new LibSQLStore(db)"
      : `new LibSQLStore(db, { tables: createWorkflowTables({ prefix: ${JSON.stringify(prefix)} }) })`;
  const next =
    migrations === "drizzle-kit"
      ? `next: npx drizzle-kit generate && npx drizzle-kit migrate (push fails once the tables exist), then ${store}`
      : "next: npx gorkflow migrate, or LibSQLStore.open(url), which migrates";
  return [...(lines.length === 0 ? ["nothing to change"] : lines), next].join("\n");
}
