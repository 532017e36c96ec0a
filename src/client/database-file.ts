import { statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";

/**
 * Notices that a database file was deleted or replaced while it was open.
 *
 * SQLite would go on writing to the file that has no name any more: all that is acknowledged then would be
 * gone with the process.
 */
export class DatabaseFile {
  readonly #path: string;
  #inode: bigint | null = null;

  /** `path` may be a file that does not exist yet. */
  constructor(path: string) {
    this.#path = path;
  }

  /** From now on the file has to be the one that it is. */
  remember(): void {
    this.#inode = this.#readInode();
  }

  /** @throws {LibsqlError} `SQLITE_READONLY_DBMOVED` when the path is no longer the file that was opened. */
  check(): void {
    if (this.#inode === null || this.#readInode() === this.#inode) return;
    throw new LibsqlError(
      "the database file was deleted, moved or replaced while it was open",
      "SQLITE_READONLY",
      "SQLITE_READONLY_DBMOVED",
      1032,
    );
  }

  #readInode(): bigint | null {
    return statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
  }
}
