import { cloudflareError } from "./cloudflare.ts";
import type { DriverResult, DriverStatement } from "./sync-database.ts";

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
    throw cloudflareError(error);
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
    throw cloudflareError(error);
  }
}

function bound(client: D1Client, { sql, args }: DriverStatement): D1Statement {
  const statement = client.prepare(sql);
  return args.length === 0 ? statement : statement.bind(...args);
}
