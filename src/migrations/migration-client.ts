import type { Client } from "@libsql/client";
import { driverOf, isLibSQLClient } from "../drivers/driver.ts";
import type { Bindable, SyncDatabase } from "../drivers/sync-database.ts";
import type { AppDatabase } from "../drizzle-types.ts";
import { UnsupportedError } from "../errors.ts";

/** A Drizzle database on SQLite, or a libSQL client. */
export type MigrationTarget = Client | { readonly $client: Client } | AppDatabase;

interface MigrationStatement {
  readonly sql: string;
  readonly args: Bindable[];
}

/** The parts of a libSQL client that migrations use, for any driver. */
export interface MigrationClient {
  execute(statement: string | MigrationStatement): Promise<{ rows: ArrayLike<unknown>[] }>;
  batch(statements: MigrationStatement[], mode: "write"): Promise<unknown>;
  /** Like `batch`, without foreign keys. */
  migrate(statements: (string | MigrationStatement)[]): Promise<unknown>;
  /** Replaces a connection that may have become unusable. */
  reconnect(): unknown;
}

/** @throws {UnsupportedError} if the Drizzle database has another driver. */
export function clientOf(target: MigrationTarget): MigrationClient {
  const client = (target as { readonly $client?: unknown } | null | undefined)?.$client ?? target;
  if (isLibSQLClient(client)) return client;
  try {
    const driver = driverOf(target);
    return driver.kind === "libsql" ? driver.client : clientOfSync(driver.database);
  } catch (error) {
    throw new UnsupportedError(
      {
        feature: "migrations",
        reason: `they need a libSQL client, or a Drizzle database: ${(error as Error).message}`,
      },
      { cause: error },
    );
  }
}

function clientOfSync(database: SyncDatabase): MigrationClient {
  const run = (statement: string | MigrationStatement) => {
    const { sql, args } = typeof statement === "string" ? { sql: statement, args: [] } : statement;
    return { rows: [...database.run({ sql, args }).rows] };
  };
  const runAll = (statements: (string | MigrationStatement)[]) => () => {
    for (const statement of statements) run(statement);
  };
  return {
    execute: async (statement) => run(statement),
    batch: async (statements) => database.transaction("write", runAll(statements)),
    async migrate(statements) {
      if (database.inTransaction) {
        const reason = "a transaction of the app is open on the connection";
        throw new UnsupportedError({ feature: "migrations", reason });
      }
      database.withoutForeignKeys(runAll(statements));
    },
    reconnect: () => undefined,
  };
}
