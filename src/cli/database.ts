import type { Client } from "@libsql/client";
import { GorkflowError } from "../errors.ts";
import {
  environmentFor,
  environmentForPrimary,
  environmentOptions,
  environmentVariables,
  variableOf,
} from "../environment.ts";
import { createWorkflowTables } from "../schema/tables.ts";
import { translateError } from "../stores/sqlite/errors/translate.ts";
import { LibSQLStore } from "../stores/libsql/libsql-store.ts";
import { openClient } from "../stores/libsql/open-client.ts";
import { isServer, parseOpenOptions, type OpenOptions } from "../stores/libsql/open-options.ts";
import type { CommandContext } from "./context.ts";
import {
  incompleteCopyAt,
  refuseSameDatabase,
  resolveDatabaseUrl,
  type Access,
} from "./database-url.ts";
import { CommandError } from "./errors.ts";
import type { DatabaseOptions, TableOptions } from "./options.ts";

/** Runs `work` with a client of the database, and closes it. Translates errors of the driver. */
export async function withClient<T>(
  context: CommandContext,
  options: DatabaseOptions,
  access: Access,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const open = optionsOf(context, options, access);
  if (access !== "create") await refuseIncompleteCopy(context, options, open.url);
  const { client } = await openClient(parseOpenOptions(open));
  try {
    return await work(client);
  } catch (error) {
    throw isOfDriver(error) ? translateError(error, "read") : error;
  } finally {
    client.close();
  }
}

/** @throws {CommandError} if a file has no tables, and is probably a copy without its log. */
async function refuseIncompleteCopy(
  context: CommandContext,
  options: DatabaseOptions,
  url: string,
): Promise<void> {
  const incomplete = incompleteCopyAt(url);
  if (incomplete === null) return;
  const { client } = await openClient(parseOpenOptions(optionsOf(context, options, "look")));
  try {
    const { rows } = await client.execute("select 1 from sqlite_schema limit 1");
    if (rows.length === 0) throw incomplete;
  } finally {
    client.close();
  }
}

/** How a command opens a store. */
export interface StoreNeeds {
  /** Defaults to `look`. */
  readonly access?: Access;
  /** Overrides `GORKFLOW_AUTH_TOKEN`. */
  readonly authToken?: string | undefined;
  /** The option or variable that named the database. Defaults to the option. */
  readonly source?: string;
}

/**
 * Runs `work` on the store of the database, and closes it.
 *
 * With `create`, the database is migrated. Otherwise a database of another version is rejected; run `gorkflow migrate`.
 */
export async function withStore<T>(
  context: CommandContext,
  { prefix, ...named }: TableOptions,
  work: (store: LibSQLStore) => Promise<T>,
  { access = "look", authToken, source }: StoreNeeds = {},
): Promise<T> {
  const options = optionsOf(context, named, access, source);
  // Otherwise a command that writes to such a copy would make its missing log unusable.
  if (access !== "create") await refuseIncompleteCopy(context, named, options.url);
  const store = await LibSQLStore.open({
    ...options,
    authToken: isServer(options.url) ? (authToken ?? options.authToken) : undefined,
    ...(prefix === undefined
      ? { migrate: access === "create" && options.migrate !== false }
      : { migrate: false, tables: createWorkflowTables({ prefix }) }),
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/**
 * Runs `work` with two stores, and closes them. The first is only read; `access` is that of the second.
 * `GORKFLOW_TO_AUTH_TOKEN` is the token of the second. `GORKFLOW_AUTH_TOKEN` is the token of the server in
 * `GORKFLOW_DATABASE_URL`, for either store.
 */
export function withTwoStores<T>(
  context: CommandContext,
  [first, second]: readonly [string, string],
  access: Access,
  work: (first: LibSQLStore, second: LibSQLStore) => Promise<T>,
): Promise<T> {
  refuseSameDatabase(first, second);
  const authToken = variableOf(context.env, "GORKFLOW_TO_AUTH_TOKEN");
  // A lagging copy would be reported as different.
  const env = { ...context.env, [environmentVariables.readUrl.name]: undefined };
  const current = { ...context, env };
  return withStore(
    current,
    { database: first },
    (from) =>
      withStore(current, { database: second }, (to) => work(from, to), {
        access,
        authToken,
        source: "the second database",
      }),
    { source: "the first database" },
  );
}

/**
 * The environment for a database. Replicas in it apply only to `GORKFLOW_DATABASE_URL`. For an embedded replica the
 * command uses the primary, because only one process may use the copy.
 */
function optionsOf(
  context: CommandContext,
  named: DatabaseOptions,
  access: Access,
  source?: string,
): OpenOptions {
  const options = placeOptionsOf(context, named, access, source);
  if (access !== "look" || !options.url.startsWith("file:")) return options;
  return { ...options, readOnly: true, migrate: false };
}

function placeOptionsOf(
  { env }: CommandContext,
  { database }: DatabaseOptions,
  access: Access,
  source = "--database",
): OpenOptions {
  if (database !== variableOf(env, environmentVariables.url.name)) {
    const url = resolveDatabaseUrl(database, access, source);
    return environmentOptions(environmentFor(env, url), url);
  }
  const primary = variableOf(env, environmentVariables.syncUrl.name);
  return primary === undefined
    ? environmentOptions(env, resolveDatabaseUrl(database, access, environmentVariables.url.name))
    : environmentOptions(environmentForPrimary(env), primary);
}

/** True for errors of a driver or the system, which have a code. */
function isOfDriver(error: unknown): boolean {
  if (error instanceof GorkflowError || error instanceof CommandError) return false;
  for (let link = error; link instanceof Error; link = link.cause) {
    if ("code" in link && typeof link.code === "string") return true;
    // Errors of fetch for an unreachable server have no code.
    if (link.message === "fetch failed" || link.name === "TimeoutError") return true;
  }
  return false;
}
