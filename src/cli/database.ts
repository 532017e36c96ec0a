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

/** Runs `work` on a client of the database, and closes it. Translates the errors of drivers. */
export async function withClient<T>(
  context: CommandContext,
  options: DatabaseOptions,
  access: Access,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  return useClient(await optionsOf(context, options, access), work);
}

async function useClient<T>(open: OpenOptions, work: (client: Client) => Promise<T>): Promise<T> {
  const { client } = await openClient(parseOpenOptions(open));
  try {
    return await work(client);
  } catch (error) {
    throw isOfDriver(error) ? translateError(error, "read") : error;
  } finally {
    client.close();
  }
}

/** How a command uses a store. */
export interface StoreNeeds {
  /** Defaults to `look`. */
  readonly access?: Access;
  /** Takes precedence over `GORKFLOW_AUTH_TOKEN`. */
  readonly authToken?: string | undefined;
  /** The option or variable that named the database. Defaults to the option. */
  readonly source?: string;
}

/**
 * Runs `work` on the store of the database, and closes it.
 *
 * With `create`, an outdated database is migrated. Otherwise it is refused, and `gorkflow migrate` must be run.
 */
export async function withStore<T>(
  context: CommandContext,
  { prefix, ...named }: TableOptions,
  work: (store: LibSQLStore) => Promise<T>,
  { access = "look", authToken, source }: StoreNeeds = {},
): Promise<T> {
  const options = await optionsOf(context, named, access, source);
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
 * Runs `work` on two stores. The first is only read; `access` applies to the second. `GORKFLOW_TO_AUTH_TOKEN` is the token
 * of the second. `GORKFLOW_AUTH_TOKEN` is used for the server in `GORKFLOW_DATABASE_URL`, either of the two.
 */
export function withTwoStores<T>(
  context: CommandContext,
  [first, second]: readonly [string, string],
  access: Access,
  work: (first: LibSQLStore, second: LibSQLStore) => Promise<T>,
): Promise<T> {
  refuseSameDatabase(first, second);
  const authToken = variableOf(context.env, "GORKFLOW_TO_AUTH_TOKEN");
  // A replica may lag behind: outdated runs would be copied, or reported as different.
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
 * The options from the environment that apply to the database. Those of `GORKFLOW_DATABASE_URL`, such as its replica, do
 * not apply to another database. Of an embedded replica, a command uses the primary: the copy belongs to another process.
 *
 * @throws {CommandError} for a file without a table that looks like a copy without its log. To open it for a change
 *   would separate it from the log for good.
 */
async function optionsOf(
  { env }: CommandContext,
  { database }: DatabaseOptions,
  access: Access,
  source = "--database",
): Promise<OpenOptions> {
  const { url: urlVariable, syncUrl } = environmentVariables;
  const isOfEnvironment = database === variableOf(env, urlVariable.name);
  const primary = isOfEnvironment ? variableOf(env, syncUrl.name) : undefined;
  if (primary !== undefined) return environmentOptions(environmentForPrimary(env), primary);
  const url = resolveDatabaseUrl(database, access, isOfEnvironment ? urlVariable.name : source);
  const options = environmentOptions(isOfEnvironment ? env : environmentFor(env, url), url);
  if (access === "create" || !url.startsWith("file:")) return options;
  const looking = { ...options, readOnly: true, migrate: false };
  const incomplete = incompleteCopyAt(url);
  if (incomplete !== null) {
    await useClient(looking, async (client) => {
      const { rows } = await client.execute("select 1 from sqlite_schema limit 1");
      if (rows.length === 0) throw incomplete;
    });
  }
  return access === "look" ? looking : options;
}

/** True for an error of a driver or the operating system. They have a code. */
function isOfDriver(error: unknown): boolean {
  if (error instanceof GorkflowError || error instanceof CommandError) return false;
  for (let link = error; link instanceof Error; link = link.cause) {
    if ("code" in link && typeof link.code === "string") return true;
    // Errors of fetch for a server that cannot be reached or does not answer have no code.
    if (link.message === "fetch failed" || link.name === "TimeoutError") return true;
  }
  return false;
}
