import * as z from "zod";
import { parseArgument } from "./arguments.ts";
import {
  environmentOptions,
  environmentVariables,
  variableOf,
  type Environment,
} from "./environment.ts";
import type { WorkflowStore } from "./store/workflow-store.ts";
import { LibSQLStore } from "./stores/libsql/libsql-store.ts";
import type { OpenOptions } from "./stores/libsql/open-options.ts";
import { MemoryStore } from "./stores/memory/memory-store.ts";

/**
 * Opens the store that the URL names, migrated and ready: `memory:` in this process, `file:…` a local file,
 * `libsql://…`, `http(s)://…` or `ws(s)://…` a libSQL server or Turso.
 *
 * A URL may carry its token, `libsql://my-db.turso.io?authToken=…`; it is never shown.
 *
 * @throws {InvalidArgumentError} that names the option, and whatever `LibSQLStore.open` throws.
 */
export async function openStore(
  options: string | OpenOptions<Record<string, unknown>>,
): Promise<WorkflowStore> {
  const { url, ...others } = typeof options === "string" ? { url: options } : options;
  if (url !== "memory:") return LibSQLStore.open(options);
  const { clock } = parseArgument(memoryOptionsSchema, others, "options");
  return new MemoryStore({ clock });
}

const memoryOptionsSchema = z.strictObject({
  clock: z.custom<OpenOptions["clock"]>((value) => typeof value === "function").optional(),
});

/** What `openStoreFromEnv` reads, and says. */
export interface EnvironmentOptions {
  /** Told which store was chosen, in a sentence without secrets; `console.info` when absent. */
  readonly log?: ((sentence: string) => void) | undefined;
}

/**
 * Opens the store that the environment names: `GORKFLOW_DATABASE_URL`, with a variable for each other option of
 * `LibSQLStore.open` beside it, as the README lists them.
 *
 * Without a URL `NODE_ENV` decides: `production` and `staging` open `file:./workflows.db`, everything else is in
 * memory. The choice is logged.
 *
 * @throws {InvalidArgumentError} that names the variable, never its value.
 */
export async function openStoreFromEnv(
  env: Environment,
  { log = (sentence) => console.info(sentence) }: EnvironmentOptions = {},
): Promise<WorkflowStore> {
  const given = variableOf(env, environmentVariables.url.name);
  const mode = variableOf(env, "NODE_ENV");
  const isDeployed = mode === "production" || mode === "staging";
  const url = given ?? (isDeployed ? "file:./workflows.db" : "memory:");
  const options = environmentOptions(env, url);
  log(
    given === undefined
      ? `workflows are kept ${url === "memory:" ? "in memory" : `in ${url}`}: GORKFLOW_DATABASE_URL is not set, and ` +
          `NODE_ENV is ${mode === undefined ? "not set" : isDeployed ? mode : "neither production nor staging"}`
      : `workflows are kept ${placeOf(given)}, as GORKFLOW_DATABASE_URL says`,
  );
  return openStore(url === "memory:" ? url : options);
}

/** Where a URL leads, in words that carry neither a token nor a password. */
function placeOf(url: string): string {
  if (url === "memory:" || url === ":memory:") return "in memory";
  return url.startsWith("file:") ? "in a local file" : "on a libSQL server";
}
