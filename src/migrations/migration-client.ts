import type { Client } from "@libsql/client";
import { batchD1, queryD1, type D1Client } from "../drivers/d1.ts";
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
  /** Runs a script. Only a libSQL client has it. */
  executeMultiple?(script: string): Promise<void>;
  readonly protocol?: string;
  /** Replaces a connection that may have become unusable. */
  reconnect(): unknown;
}

/** @throws {UnsupportedError} if the Drizzle database has another driver. */
export function clientOf(target: MigrationTarget): MigrationClient {
  const client = (target as { readonly $client?: unknown } | null | undefined)?.$client ?? target;
  if (isLibSQLClient(client)) return client;
  try {
    const driver = driverOf(target);
    if (driver.kind === "d1") return clientOfD1(driver.client);
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

function clientOfD1(client: D1Client): MigrationClient {
  return {
    execute: async (statement) => ({
      rows: [...(await queryD1(client, statementOf(statement))).rows],
    }),
    batch: (statements) => batchD1(client, statements),
    async migrate(statements) {
      const all = statements.map(statementOf);
      refuseRebuild(all);
      await batchD1(client, all);
    },
    reconnect: () => undefined,
  };
}

function clientOfSync(database: SyncDatabase): MigrationClient {
  const run = (statement: string | MigrationStatement) => {
    return { rows: [...database.run(statementOf(statement)).rows] };
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
      if (database.isOnCloudflare === true) refuseRebuild(statements.map(statementOf));
      database.withoutForeignKeys(runAll(statements));
    },
    reconnect: () => undefined,
  };
}

function statementOf(statement: string | MigrationStatement): MigrationStatement {
  return typeof statement === "string" ? { sql: statement, args: [] } : statement;
}

/**
 * Cloudflare's SQLite cannot switch foreign keys off, and dropping a table would delete the rows that reference it.
 *
 * @throws {UnsupportedError} if a statement drops a table.
 */
function refuseRebuild(statements: readonly MigrationStatement[]): void {
  if (!statements.some(({ sql }) => /^\s*drop table/i.test(sql))) return;
  const reason =
    "this one rebuilds a table, for which the database would have to switch foreign keys off";
  throw new UnsupportedError({ feature: "migrations", reason });
}
