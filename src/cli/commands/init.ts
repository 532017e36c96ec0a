import { readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { Command, Option } from "commander";
import type { CommandContext } from "../context.ts";
import { readDrizzleConfig, schemaFiles, type DrizzleConfig } from "../drizzle-project.ts";
import { exitSoon } from "../interruption.ts";
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
Adds the workflow tables to the schema of a Drizzle project, and makes drizzle-kit push, which would drop or rebuild
them, leave them alone. With --migrations gorkflow, only the second: the tables are created by gorkflow migrate, or by
the store when it opens. A second call changes nothing. Exit code 1 if a change is left to you.

Examples:
  gorkflow init --dry-run
  gorkflow init --prefix app_
  gorkflow init --migrations gorkflow`,
    )
    .action(async ({ config: given, dryRun = false, json, ...options }: InitOptions) => {
      // Configurations may print.
      reserveOutput();
      const config = await readDrizzleConfig(given);
      const changes: Change[] = [];
      if (options.migrations === "drizzle-kit")
        changes.push(...(await schemaChange(config, options)));
      changes.push(...filterChange(config, options));
      if (!dryRun)
        for (const { file, text } of changes) if (text !== null) writeFileSync(file, text);
      if (changes.some(({ text }) => text === null)) context.foundSomething();
      if (json) {
        const shown = changes.map(({ file, change, text }) => ({
          file,
          change,
          isLeftToYou: text === null,
        }));
        printJson({ dryRun, changes: shown });
      } else print(describe(changes, dryRun, options));
      exitSoon();
    });
}

const tables = ["workflowRuns", "stepExecutions", "stepAttempts", "stepOutputs", "workflowState"];

/** The tables as exports of the schema, unless a file already imports them. */
async function schemaChange(
  { schema }: DrizzleConfig,
  { prefix }: Pick<InitOptions, "prefix">,
): Promise<Change[]> {
  const files = await schemaFiles(schema);
  if (files.some((file) => /["']gorkflow\/schema["']/.test(readFileSync(file, "utf8")))) return [];
  const folder = schema.find((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
  const [first = ""] = files;
  const file = folder === undefined ? first : join(folder, `workflow-tables${extname(first)}`);
  const text = folder === undefined ? readFileSync(first, "utf8") : "";
  const change = `export the workflow tables${prefix === undefined ? "" : ` with the prefix ${prefix}`}`;
  if (isCommonJs(folder === undefined ? text : readFileSync(first, "utf8"))) {
    return [{ file, change: `${change} of gorkflow/schema`, text: null }];
  }
  const exported =
    prefix === undefined
      ? `export * from "gorkflow/schema";\n`
      : `export const { ${tables.join(", ")} } =\n  createWorkflowTables({ prefix: ${JSON.stringify(prefix)} });\n`;
  const imported =
    prefix === undefined ? "" : `import { createWorkflowTables } from "gorkflow/schema";\n`;
  const body = text === "" ? "\n" : `${text.endsWith("\n") ? text : `${text}\n`}\n`;
  return [{ file, change, text: (imported + body + exported).replace(/^\n+/, "") }];
}

function isCommonJs(text: string): boolean {
  return /\bmodule\.exports\b|\bexports\.\w+ *=/.test(text);
}

/** A `tablesFilter` that hides the tables from `drizzle-kit push`. */
function filterChange(
  { path, tablesFilter = [] }: DrizzleConfig,
  { prefix = "" }: Pick<InitOptions, "prefix">,
): Change[] {
  const wanted = [`!${prefix}workflow_*`, `!${prefix}step_*`, "!__gorkflow_*"];
  const missing = wanted.filter((pattern) => !tablesFilter.includes(pattern));
  if (missing.length === 0) return [];
  const patterns = missing.map((pattern) => JSON.stringify(pattern)).join(", ");
  const change = `add ${patterns} to tablesFilter`;
  return [{ file: path, change, text: withFilter(path, missing, patterns) }];
}

/** The text of the configuration with the patterns; null if it has a filter, or an unusual form. */
function withFilter(path: string, missing: readonly string[], patterns: string): string | null {
  const text = readFileSync(path, "utf8");
  if (/\btablesFilter\b/.test(text)) return null;
  if (extname(path) === ".json") {
    const config = JSON.parse(text) as object;
    return `${JSON.stringify({ ...config, tablesFilter: missing }, null, 2)}\n`;
  }
  const [found] = /\bexport default (?:defineConfig\()?\s*\{/.exec(text) ?? [];
  return found === undefined
    ? null
    : text.replace(found, () => `${found}\n  tablesFilter: [${patterns}],`);
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
      ? `next: npx drizzle-kit generate && npx drizzle-kit migrate, then ${store}`
      : "next: npx gorkflow migrate, or LibSQLStore.open(url), which migrates";
  return [...(lines.length === 0 ? ["nothing to change"] : lines), next].join("\n");
}
