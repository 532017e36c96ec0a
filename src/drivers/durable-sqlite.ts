import { cloudflareError } from "./cloudflare.ts";
import type { DriverResult, DriverStatement, SyncDatabase } from "./sync-database.ts";

/** The parts of the storage of a Durable Object that we use. */
export interface DurableStorage {
  readonly sql: { exec(sql: string, ...args: unknown[]): DurableCursor };
  transactionSync<T>(work: () => T): T;
}

interface DurableCursor {
  readonly columnNames: readonly string[];
  raw(): { toArray(): unknown[][] };
}

/** The SQLite database of a Durable Object, which only the object uses. */
export class DurableDatabase implements SyncDatabase {
  readonly isOnCloudflare = true;
  readonly checksForeignKeys = true;
  readonly #storage: DurableStorage;
  #depth = 0;

  constructor(storage: DurableStorage) {
    this.#storage = storage;
  }

  get inTransaction(): boolean {
    return this.#depth > 0;
  }

  run({ sql, args }: DriverStatement): DriverResult {
    try {
      const cursor = this.#storage.sql.exec(sql, ...args);
      const hasRows = cursor.columnNames.length > 0;
      const rows = cursor.raw().toArray();
      if (hasRows) return { rows, changes: rows.length };
      const [[changes] = []] = this.#storage.sql.exec("select changes()").raw().toArray();
      return { rows, changes: Number(changes) };
    } catch (error) {
      throw cloudflareError(error);
    }
  }

  query(statement: DriverStatement): DriverResult {
    return this.run(statement);
  }

  transaction<T>(mode: "read" | "write", work: () => T): T {
    // No other code of the object runs meanwhile.
    if (mode === "read") return work();
    this.#depth += 1;
    try {
      return this.#storage.transactionSync(work);
    } finally {
      this.#depth -= 1;
    }
  }

  withoutForeignKeys<T>(work: () => T): T {
    return this.transaction("write", work);
  }
}
