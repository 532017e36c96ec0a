import { parseConfig, type LocalClientConfig } from "./config.ts";
import type { LocalClient } from "./local-client.ts";
import { LocalDatabaseClient } from "./local-database-client.ts";

/**
 * A client of a local database, for `file:` and `:memory:`: the `Client` interface of `@libsql/client`, which
 * `drizzle({ client })` takes unchanged.
 *
 * - What was acknowledged is committed, whatever locks were met on the way.
 * - Writes that are issued together commit together; each keeps its own result and its own error.
 * - Waiting for a lock never blocks the event loop, and ends in `StoreBusyError` after `busyTimeoutMs`.
 * - Reads never wait for a writer. They see what was committed before they were issued.
 *
 * @throws {InvalidArgumentError} that names the field.
 * @throws {LibsqlError} `SQLITE_CANTOPEN` or `SQLITE_NOTADB` when the file cannot be used.
 */
export function createClient(config: string | LocalClientConfig): LocalClient {
  return new LocalDatabaseClient(parseConfig(config));
}
