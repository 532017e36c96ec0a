import { drizzle } from "drizzle-orm/d1";
import { Miniflare } from "miniflare";
import type { D1Client } from "../../src/drivers/d1.ts";

/** A worker that runs statements on its D1 database. The proxy of miniflare is ten times as slow. */
const script = `export default {
  async fetch(request, { DB }) {
    const { mode, statements } = await request.json();
    const bound = statements.map(({ sql, args }) => DB.prepare(sql).bind(...args));
    try {
      if (mode === "raw") return Response.json({ results: await bound[0].raw() });
      if (mode === "exec") return Response.json({ results: await DB.exec(statements[0].sql) });
      return Response.json({ results: await DB.batch(bound) });
    } catch (error) {
      return Response.json({ error: error.message });
    }
  },
};`;

interface Bound {
  readonly sql: string;
  readonly args: readonly unknown[];
}

/** What the statements of a client have cost so far. */
interface D1Costs {
  requests: number;
  queries: number;
  rowsRead: number;
  rowsWritten: number;
}

export interface LocalD1 {
  readonly client: D1Client & { exec(sql: string): Promise<unknown> };
  readonly costs: D1Costs;
  /** Runs a file of SQL in one request, as `wrangler d1 migrations apply` does. */
  applyFile(sql: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts a D1 database in workerd. */
export async function startD1(): Promise<LocalD1> {
  const miniflare = new Miniflare({
    modules: true,
    script,
    compatibilityDate: "2026-01-01",
    d1Databases: ["DB"],
  });
  const url = await miniflare.ready;
  const costs: D1Costs = { requests: 0, queries: 0, rowsRead: 0, rowsWritten: 0 };
  const ask = async (mode: string, statements: readonly Bound[]) => {
    costs.requests += 1;
    costs.queries += statements.length;
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify({ mode, statements }),
    });
    const { results, error } = (await response.json()) as { results: never; error?: string };
    // The binding rejects with the reason as cause, too.
    if (error !== undefined) {
      throw new Error(error, { cause: new Error(error.replace(/^D1_ERROR: /, "")) });
    }
    return results;
  };
  const prepare = (sql: string, args: readonly unknown[] = []) => ({
    sql,
    args,
    bind: (...values: unknown[]) => prepare(sql, values),
    raw: () => ask("raw", [{ sql, args }]),
    all: async () => (await ask("batch", [{ sql, args }]))[0],
    run: async () => (await ask("batch", [{ sql, args }]))[0],
  });
  const client = {
    prepare,
    async batch(statements: Bound[]) {
      const results: { meta: { rows_read: number; rows_written: number } }[] = await ask(
        "batch",
        statements.map(({ sql, args }) => ({ sql, args })),
      );
      for (const { meta } of results) {
        costs.rowsRead += meta.rows_read;
        costs.rowsWritten += meta.rows_written;
      }
      return results;
    },
    exec: (sql: string) => ask("exec", [{ sql, args: [] }]),
  };
  return {
    client: client as never,
    costs,
    applyFile: (sql) => ask("batch", [{ sql, args: [] }]),
    stop: () => miniflare.dispose(),
  };
}

export function drizzleOn(client: D1Client) {
  return drizzle(client as never);
}
