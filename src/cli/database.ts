import type { Client } from "@libsql/client";
import { GorkflowError } from "../errors.ts";
import { parseEnvironment } from "../open-store.ts";
import { createWorkflowTables } from "../schema/tables.ts";
import { translateError } from "../stores/libsql/error-translation.ts";
import { LibSQLStore } from "../stores/libsql/libsql-store.ts";
import { openClient } from "../stores/libsql/open-client.ts";
import { parseOpenOptions } from "../stores/libsql/open-options.ts";
import type { CommandContext } from "./context.ts";
import { resolveDatabaseUrl, type MissingFile } from "./database-url.ts";
import type { DatabaseOptions, TableOptions } from "./options.ts";

/** Runs `work` on a client of the database, and closes it. A driver's error never comes out bare. */
export async function withClient<T>(
  { env }: CommandContext,
  { database }: DatabaseOptions,
  missing: MissingFile,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const url = resolveDatabaseUrl(database, missing);
  const { client } = await openClient(
    parseOpenOptions({ url, ...parseEnvironment(env).connection }),
  );
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
}

/**
 * Runs `work` on the store of the database, and closes it.
 *
 * A database that may be made is brought up to date, too. Any other one that is not of this version is refused:
 * `gorkflow migrate` is there for that.
 */
export async function withStore<T>(
  { env }: CommandContext,
  { database, prefix }: TableOptions,
  work: (store: LibSQLStore) => Promise<T>,
  { missing = "refuse", authToken }: StoreNeeds = {},
): Promise<T> {
  const url = resolveDatabaseUrl(database, missing);
  const { connection } = parseEnvironment(env);
  const store = await LibSQLStore.open({
    url,
    ...connection,
    authToken: authToken ?? connection.authToken,
    migrate: missing === "create",
    ...(prefix !== undefined && { tables: createWorkflowTables({ prefix }) }),
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/**
 * Runs `work` on two stores. The second one's token is `GORKFLOW_TO_AUTH_TOKEN`, where it is not the same as the
 * first one's.
 */
export function withTwoStores<T>(
  context: CommandContext,
  [first, second]: readonly [string, string],
  missing: MissingFile,
  work: (first: LibSQLStore, second: LibSQLStore) => Promise<T>,
): Promise<T> {
  const authToken = context.env["GORKFLOW_TO_AUTH_TOKEN"];
  return withStore(context, { database: first }, (from) =>
    withStore(context, { database: second }, (to) => work(from, to), { missing, authToken }),
  );
}

/** Errors of this program are its own to report; those of drivers, and of the system below them, have a code. */
function isOfDriver(error: unknown): boolean {
  if (error instanceof GorkflowError) return false;
  for (let link = error; link instanceof Error; link = link.cause) {
    if ("code" in link && typeof link.code === "string") return true;
    // What fetch says of a server that it does not reach has no code of its own.
    if (link.message === "fetch failed") return true;
  }
  return false;
}
