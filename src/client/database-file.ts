import { statSync } from "node:fs";
import { LibsqlError } from "@libsql/client/sqlite3";

/**
 * Notices that a database file was deleted or replaced while it was open.
 *
 * SQLite would continue to write to the deleted file, and all acknowledged writes would be lost when the process
 * ends.
 */
export class DatabaseFile {
  readonly #path: string;
  #inode: bigint | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Remembers the file that is at the path now. */
  remember(): void {
    this.#inode = this.#readInode();
  }

  /** @throws {LibsqlError} `SQLITE_READONLY_DBMOVED` if the path has another file or none. */
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
