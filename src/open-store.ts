import * as z from "zod";
import { parseArgument } from "./arguments.ts";
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
export async function openStore(options: string | OpenOptions): Promise<WorkflowStore> {
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

/** An empty variable is an absent one: that is how shells and deployments unset them. */
const text = z
  .string()
  .transform((value) => (value === "" ? undefined : value))
  .optional();

const environmentSchema = z.object({
  GORKFLOW_DATABASE_URL: text,
  GORKFLOW_AUTH_TOKEN: text,
  GORKFLOW_ENCRYPTION_KEY: text,
  GORKFLOW_DURABILITY: text.pipe(z.enum(["full", "normal"]).optional()),
  GORKFLOW_BUSY_TIMEOUT_MS: text
    .transform((value) => (value === undefined ? undefined : Number(value)))
    .pipe(z.int().min(0).optional()),
  NODE_ENV: text,
});

/**
 * Opens the store that the environment names: `GORKFLOW_DATABASE_URL`, with `GORKFLOW_AUTH_TOKEN`,
 * `GORKFLOW_ENCRYPTION_KEY`, `GORKFLOW_DURABILITY` and `GORKFLOW_BUSY_TIMEOUT_MS` beside it.
 *
 * Without a URL `NODE_ENV` decides: `production` and `staging` open `file:./workflows.db`, everything else is in
 * memory. The choice is logged.
 *
 * @throws {InvalidArgumentError} that names the variable, never its value.
 */
export async function openStoreFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  { log = (sentence) => console.info(sentence) }: EnvironmentOptions = {},
): Promise<WorkflowStore> {
  const { url: given, mode, connection } = parseEnvironment(env);
  const isDeployed = mode === "production" || mode === "staging";
  const url = given ?? (isDeployed ? "file:./workflows.db" : "memory:");
  log(
    given === undefined
      ? `workflows are kept ${url === "memory:" ? "in memory" : `in ${url}`}: GORKFLOW_DATABASE_URL is not set, and ` +
          `NODE_ENV is ${mode === undefined ? "not set" : isDeployed ? mode : "neither production nor staging"}`
      : `workflows are kept ${placeOf(given)}, as GORKFLOW_DATABASE_URL says`,
  );
  return openStore(url === "memory:" ? url : { url, ...connection });
}

/**
 * What the environment says of the database, each variable checked.
 *
 * @throws {InvalidArgumentError} that names the variable, never its value.
 */
export function parseEnvironment(env: Readonly<Record<string, string | undefined>>): {
  readonly url: string | undefined;
  /** `NODE_ENV`. */
  readonly mode: string | undefined;
  readonly connection: Omit<OpenOptions, "url">;
} {
  const variables = parseArgument(environmentSchema, env, "env");
  return {
    url: variables.GORKFLOW_DATABASE_URL,
    mode: variables.NODE_ENV,
    connection: {
      authToken: variables.GORKFLOW_AUTH_TOKEN,
      encryptionKey: variables.GORKFLOW_ENCRYPTION_KEY,
      durability: variables.GORKFLOW_DURABILITY,
      busyTimeoutMs: variables.GORKFLOW_BUSY_TIMEOUT_MS,
    },
  };
}

/** Where a URL leads, in words that carry neither a token nor a password. */
function placeOf(url: string): string {
  if (url === "memory:" || url === ":memory:") return "in memory";
  return url.startsWith("file:") ? "in a local file" : "on a libSQL server";
}
