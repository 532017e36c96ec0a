import { UnsupportedError } from "../errors.ts";
import { primaryCode } from "../sqlite-codes.ts";
import { DriverError } from "./driver-error.ts";
import { LibraryDatabase, type SyncDatabase } from "./sync-database.ts";

/** The parts of a `DatabaseSync` of node:sqlite that we use. */
export interface NodeSQLiteClient {
  readonly isTransaction: boolean;
  readonly isOpen: boolean;
  prepare(sql: string): NodeSQLiteStatement;
  exec(sql: string): void;
}

interface NodeSQLiteStatement {
  columns(): readonly unknown[];
  setReturnArrays(enabled: boolean): void;
  setReadBigInts(enabled: boolean): void;
  all(...args: unknown[]): unknown[];
  get(...args: unknown[]): unknown;
  run(...args: unknown[]): { readonly changes: number | bigint };
}

type Row = readonly unknown[];

/** @throws {UnsupportedError} before Node 22.16. */
export function useNodeSQLite(client: NodeSQLiteClient): SyncDatabase {
  // To read it would fail while the database is closed.
  if (!("isTransaction" in client)) {
    throw new UnsupportedError({ feature: "node:sqlite", reason: "it needs Node 22.16 or later" });
  }
  return new LibraryDatabase({
    prepare(sql) {
      const statement = attempt(() => client.prepare(sql));
      if (statement.columns().length === 0) {
        // For other statements, the library returns the number of an earlier one.
        const isCounted = /^\s*(?:insert|update|delete|replace|with)\b/i.test(sql);
        return {
          change: (args) => {
            const { changes } = attempt(() => statement.run(...args));
            return isCounted ? Number(changes) : 0;
          },
        };
      }
      statement.setReturnArrays(true);
      statement.setReadBigInts(false);
      const read = <T>(query: () => T): T => {
        try {
          return query();
        } catch (error) {
          if (!isTooLarge(error)) throw errorOf(error);
          // An integer beyond 2^53, which the other libraries round.
          statement.setReadBigInts(true);
          try {
            return attempt(query);
          } finally {
            statement.setReadBigInts(false);
          }
        }
      };
      return {
        all: (args) => (read(() => statement.all(...args)) as unknown[][]).map(withNumbers),
        get(args) {
          const row = read(() => statement.get(...args)) as unknown[] | undefined;
          return row && withNumbers(row);
        },
      };
    },
    exec: (sql) => attempt(() => client.exec(sql)),
    isInTransaction: () => (client.isOpen ? client.isTransaction : null),
  });
}

function withNumbers(row: Row): Row {
  return row.some((cell) => typeof cell === "bigint")
    ? row.map((cell) => (typeof cell === "bigint" ? Number(cell) : cell))
    : row;
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw errorOf(error);
  }
}

/** The error with the name of its result code, which the library gives as a number. */
function errorOf(error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  return new DriverError(error.message, primaryCode(Number(error.errcode)), error);
}
