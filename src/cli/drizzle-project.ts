import { existsSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Jiti } from "jiti";
import * as z from "zod/mini";
import { inEnglish } from "../arguments.ts";
import { CommandError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

const defaultConfigs = ["drizzle.config.ts", "drizzle.config.js", "drizzle.config.json"];

const configSchema = z.object({
  dialect: z.enum(["sqlite", "turso"], {
    error: "must be sqlite or turso: other dialects are not checked",
  }),
  schema: z.union([
    z.pipe(
      z.string(),
      z.transform((path) => [path]),
    ),
    z.array(z.string()).check(z.minLength(1)),
  ]),
  out: z._default(z.string(), "drizzle"),
  casing: z.optional(z.enum(["snake_case", "camelCase"])),
  tablesFilter: z.optional(
    z.union([
      z.pipe(
        z.string(),
        z.transform((pattern) => [pattern]),
      ),
      z.array(z.string()),
    ]),
  ),
});

/** The part of drizzle.config.ts that the commands need. */
export type DrizzleConfig = Readonly<z.output<typeof configSchema>> & { readonly path: string };

/**
 * Reads drizzle-kit's configuration as drizzle-kit does: the first default name that exists if none is given. Paths are
 * relative to the working folder.
 *
 * @throws {CommandError} if there is none or it is invalid; it names the field.
 */
export async function readDrizzleConfig(given: string | undefined): Promise<DrizzleConfig> {
  const path = given ?? defaultConfigs.find((name) => existsSync(name));
  if (path === undefined || !existsSync(path)) {
    throw new CommandError({
      code: "CONFIG_MISSING",
      message: `there is no ${path ?? `${defaultConfigs[0]} in this folder`}`,
      remedy: "name it with --config",
      exitCode: exitCodes.usage,
    });
  }
  const config = await loadModule(path, { default: true });
  const { data, error } = configSchema.safeParse(config, inEnglish);
  if (error !== undefined) {
    const [issue] = error.issues;
    throw new CommandError({
      code: "CONFIG_INVALID",
      message: `${path}: ${issue?.path.join(".") || "it"} ${issue?.message}`,
      remedy: "npx drizzle-kit check shows details",
    });
  }
  return { path, ...data };
}

/** @throws {CommandError} if the folder of the migrations does not exist. */
export function requireMigrations({ path, out }: DrizzleConfig): void {
  if (existsSync(out)) return;
  throw new CommandError({
    code: "MIGRATIONS_MISSING",
    message: `${path}: there is no folder ${out}`,
    remedy: "run drizzle-kit generate and commit its files",
  });
}

/**
 * The exports of all schema files. Two files may export the same name, so each name is prefixed with its file.
 *
 * @throws {CommandError} if no file matches, or one cannot be loaded.
 */
export async function readDrizzleSchema({
  schema,
}: DrizzleConfig): Promise<Record<string, unknown>> {
  const exported: Record<string, unknown> = {};
  for (const file of await schemaFiles(schema)) {
    for (const [name, value] of Object.entries((await loadModule(file)) as object)) {
      exported[`${file}: ${name}`] = value;
    }
  }
  return exported;
}

/**
 * The files of a schema. A pattern that matches a folder stands for the files directly in it.
 *
 * @throws {CommandError} if no file matches.
 */
export async function schemaFiles(patterns: readonly string[]): Promise<string[]> {
  const { globSync } = await import("tinyglobby");
  const found = globSync(patterns.map(withPlainParentheses), {
    expandDirectories: false,
    onlyFiles: false,
  });
  const files = found.flatMap((path) =>
    statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path],
  );
  const modules = [...new Set(files)].filter((file) => /\.[cm]?[jt]s$/.test(file)).toSorted();
  if (modules.length > 0) return modules;
  throw new CommandError({
    code: "SCHEMA_MISSING",
    message: `no file matches the schema ${patterns.join(", ")}`,
    remedy: "paths are relative to the working folder, as for drizzle-kit",
  });
}

/** Escapes parentheses that are part of a name, as in `src/(db)`. After one of `?*+@!` they are a group. */
function withPlainParentheses(pattern: string): string {
  const groups: boolean[] = [];
  return pattern.replaceAll(/\\.|[?*+@!]?\(|\)/g, (found) => {
    if (found === ")") return groups.pop() === true ? found : "\\)";
    if (!found.endsWith("(")) return found;
    groups.push(found.length === 2);
    return found.length === 2 ? found : "\\(";
  });
}

/** The configuration that a file would be with another text. Null if it could not be read. */
export async function configWith(path: string, text: string): Promise<DrizzleConfig | null> {
  const exported = await exportsWith(path, text);
  const { data } = configSchema.safeParse(exported?.["default"]);
  return data === undefined ? null : { path, ...data };
}

/** The exports that a module of the project would have with another text. Null if it could not be loaded. */
export async function exportsWith(
  path: string,
  text: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const filename = resolve(path);
  try {
    if (filename.endsWith(".json")) return { default: JSON.parse(text) as unknown };
    const jiti = await loaderFor(filename);
    // Without `forceTranspile`, jiti imports a module in plain JavaScript from its file, whatever the text.
    const exported = await jiti.evalModule(text, { filename, async: true, forceTranspile: true });
    return exported as Readonly<Record<string, unknown>>;
  } catch {
    return null;
  }
}

async function loaderFor(file: string): Promise<Jiti> {
  // Loading it takes a third of the command's start time.
  const { createJiti } = await import("jiti");
  // The cache would write into the project.
  return createJiti(file, { fsCache: false, tsconfigPaths: true });
}

/** Loads a module, TypeScript or not, with the aliases of its tsconfig.json. @throws {CommandError} if it cannot. */
export async function loadModule(
  path: string,
  options: { readonly default?: true } = {},
): Promise<unknown> {
  const file = resolve(path);
  const jiti = await loaderFor(file);
  try {
    return await jiti.import(file, options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      {
        code: "MODULE_UNLOADABLE",
        message: `${path} cannot be loaded: ${reason}`,
        remedy: "run the file with npx tsx to see where the error is",
      },
      { cause: error },
    );
  }
}
