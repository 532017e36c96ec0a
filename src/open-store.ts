import * as z from "zod/mini";
import { parseArgument } from "./arguments.ts";
import {
  environmentOptions,
  environmentVariables,
  variableOf,
  type Environment,
} from "./environment.ts";
import { functionSchema } from "./model/arguments.ts";
import type { Clock } from "./store/clock.ts";
import type { WorkflowStore } from "./store/workflow-store.ts";
import { LibSQLStore } from "./stores/libsql/libsql-store.ts";
import type { OpenOptions } from "./stores/libsql/open-options.ts";
import { MemoryStore } from "./stores/memory/memory-store.ts";

/**
 * Opens the store at a URL and migrates it: `memory:`, `file:…` for a local file, or `libsql://…`, `http(s)://…` or
 * `ws(s)://…` for a libSQL server or Turso.
 *
 * The URL may contain the token (`libsql://my-db.turso.io?authToken=…`), which no error shows. Also throws the errors
 * of `LibSQLStore.open`.
 *
 * @throws {InvalidArgumentError} if the URL is invalid.
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
  clock: z.optional(functionSchema<Clock>()),
});

/** Options of `openStoreFromEnv`. */
export interface EnvironmentOptions {
  /** Receives a sentence that names the store, without secrets. Defaults to `console.info`. */
  readonly log?: ((sentence: string) => void) | undefined;
}

/**
 * Opens the store at `GORKFLOW_DATABASE_URL`. Other variables set the options of `LibSQLStore.open`; the README lists
 * them.
 *
 * If the URL is unset, `NODE_ENV` decides: `production` and `staging` open `file:./workflows.db`, anything else opens
 * memory. The choice is logged.
 *
 * @throws {InvalidArgumentError} if a variable is invalid. The message names it, never its value.
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

/** Describes a URL without its token and password. */
function placeOf(url: string): string {
  if (url === "memory:" || url === ":memory:") return "in memory";
  return url.startsWith("file:") ? "in a local file" : "on a libSQL server";
}
