import { DriverError } from "./driver-error.ts";
import type { DriverResult, DriverStatement } from "./sync-database.ts";

/** The maximum size of a value and of a row, in bytes. */
export const maxRowBytes = 2_000_000;

/** The number of selects that a UNION may have, as in Durable Objects. */
export const maxUnionTerms = 5;

/** The parts of a D1 binding that we use. */
export interface D1Client {
  prepare(sql: string): D1Statement;
  batch(statements: D1Statement[]): Promise<D1Result[]>;
}

interface D1Statement {
  bind(...args: unknown[]): D1Statement;
  raw(): Promise<unknown[][]>;
}

interface D1Result {
  readonly results?: readonly Readonly<Record<string, unknown>>[] | undefined;
  readonly meta: { readonly changes?: number };
}

/** Runs one query. Unlike those of a batch, its columns may have equal names. */
export async function queryD1(client: D1Client, statement: DriverStatement): Promise<DriverResult> {
  try {
    return { rows: await bound(client, statement).raw(), changes: 0 };
  } catch (error) {
    throw errorOf(error);
  }
}

/** Runs statements in one transaction. `changes` includes the rows that foreign keys and triggers have changed. */
export async function batchD1(
  client: D1Client,
  statements: readonly DriverStatement[],
): Promise<DriverResult[]> {
  try {
    const results = await client.batch(statements.map((each) => bound(client, each)));
    return results.map(({ results: rows = [], meta }) => ({
      rows: rows.map((row) => Object.values(row)),
      changes: meta.changes ?? 0,
    }));
  } catch (error) {
    throw errorOf(error);
  }
}

function bound(client: D1Client, { sql, args }: DriverStatement): D1Statement {
  const statement = client.prepare(sql);
  return args.length === 0 ? statement : statement.bind(...args);
}

/** The error with the code of SQLite, which D1 gives at the end of the message. */
function errorOf(error: unknown): unknown {
  const found = /^D1_ERROR: ([^]*): (SQLITE_\w+)(?: \(extended: (SQLITE_\w+)\))?$/.exec(
    error instanceof Error ? error.message : "",
  );
  if (found === null) return error;
  const [, message = "", code = "", extended = code] = found;
  return new DriverError(message, extended, error);
}
