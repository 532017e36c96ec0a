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
import { translateError } from "../stores/libsql/error-translation.ts";
import { LibSQLStore } from "../stores/libsql/libsql-store.ts";
import { openClient } from "../stores/libsql/open-client.ts";
import { isServer, parseOpenOptions, type OpenOptions } from "../stores/libsql/open-options.ts";
import type { CommandContext } from "./context.ts";
import { refuseSameDatabase, resolveDatabaseUrl, type MissingFile } from "./database-url.ts";
import type { DatabaseOptions, TableOptions } from "./options.ts";

/** Runs `work` on a client of the database, and closes it. A driver's error never comes out bare. */
export async function withClient<T>(
  context: CommandContext,
  options: DatabaseOptions,
  missing: MissingFile,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const { client } = await openClient(parseOpenOptions(optionsOf(context, options, missing)));
  try {
    return await work(client);
  } catch (error) {
    throw isOfDriver(error) ? translateError(error, "read") : error;
  } finally {
    client.close();
  }
}

/** How a command takes a store that is not as it has to be. */
export interface StoreNeeds {
  /** A missing file: `refuse` when absent. */
  readonly missing?: MissingFile;
  /** Stronger than `GORKFLOW_AUTH_TOKEN`. */
  readonly authToken?: string | undefined;
  /** What has named the database; defaults to the option. */
  readonly source?: string;
}

/**
 * Runs `work` on the store of the database, and closes it.
 *
 * A database that may be made is brought up to date, too. Any other one that is not of this version is refused:
 * `gorkflow migrate` is there for that.
 */
export async function withStore<T>(
  context: CommandContext,
  { prefix, ...named }: TableOptions,
  work: (store: LibSQLStore) => Promise<T>,
  { missing = "refuse", authToken, source }: StoreNeeds = {},
): Promise<T> {
  const options = optionsOf(context, named, missing, source);
  const store = await LibSQLStore.open({
    ...options,
    authToken: isServer(options.url) ? (authToken ?? options.authToken) : undefined,
    ...(prefix === undefined
      ? { migrate: missing === "create" && options.migrate !== false }
      : { migrate: false, tables: createWorkflowTables({ prefix }) }),
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/**
 * Runs `work` on two stores. `GORKFLOW_TO_AUTH_TOKEN` is the token of the second one; otherwise `GORKFLOW_AUTH_TOKEN`
 * is that of either if it is the server in `GORKFLOW_DATABASE_URL`.
 */
export function withTwoStores<T>(
  context: CommandContext,
  [first, second]: readonly [string, string],
  missing: MissingFile,
  work: (first: LibSQLStore, second: LibSQLStore) => Promise<T>,
): Promise<T> {
  refuseSameDatabase(first, second);
  const authToken = variableOf(context.env, "GORKFLOW_TO_AUTH_TOKEN");
  // What lags behind would be copied, or found to differ.
  const env = { ...context.env, [environmentVariables.readUrl.name]: undefined };
  const current = { ...context, env };
  return withStore(
    current,
    { database: first },
    (from) =>
      withStore(current, { database: second }, (to) => work(from, to), {
        missing,
        authToken,
        source: "the second database",
      }),
    { source: "the first database" },
  );
}

/**
 * How to reach the database, as the environment has it: a replica of `GORKFLOW_DATABASE_URL` is none of another
 * database. The copy of an embedded replica belongs to the process that uses it; a command goes to its primary.
 */
function optionsOf(
  { env }: CommandContext,
  { database }: DatabaseOptions,
  missing: MissingFile,
  source = "--database",
): OpenOptions {
  if (database !== variableOf(env, environmentVariables.url.name)) {
    const url = resolveDatabaseUrl(database, missing, source);
    return environmentOptions(environmentFor(env, url), url);
  }
  const primary = variableOf(env, environmentVariables.syncUrl.name);
  return primary === undefined
    ? environmentOptions(env, resolveDatabaseUrl(database, missing, environmentVariables.url.name))
    : environmentOptions(environmentForPrimary(env), primary);
}

/** Errors of this program are its own to report; those of drivers, and of the system below them, have a code. */
function isOfDriver(error: unknown): boolean {
  if (error instanceof GorkflowError) return false;
  for (let link = error; link instanceof Error; link = link.cause) {
    if ("code" in link && typeof link.code === "string") return true;
    // What fetch says of a server that it does not reach, or that does not answer, has no code of its own.
    if (link.message === "fetch failed" || link.name === "TimeoutError") return true;
  }
  return false;
}
