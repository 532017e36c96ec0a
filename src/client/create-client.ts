import { parseConfig, type LocalClientConfig } from "./config.ts";
import type { LocalClient } from "./local-client.ts";
import { LocalDatabaseClient } from "./local-database-client.ts";

/**
 * A client of a database in a file or in memory. It has the `Client` interface of `@libsql/client`, which
 * `drizzle({ client })` accepts.
 *
 * - An acknowledged write is committed, even if the client had to wait for locks.
 * - Writes that are issued together commit together. Each has its own result and its own error.
 * - Waiting for a lock does not block the event loop, and ends with `StoreBusyError` after `busyTimeoutMs`.
 * - Reads do not wait for other writers. They see every write of this client that was issued before them.
 *
 * @throws {InvalidArgumentError} that names the invalid field.
 * @throws {LibsqlError} `SQLITE_CANTOPEN` or `SQLITE_NOTADB` if the file cannot be opened.
 */
export function createClient(config: string | LocalClientConfig): LocalClient {
  return new LocalDatabaseClient(parseConfig(config));
}
