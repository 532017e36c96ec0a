// Runs the conformance suite in workerd, on D1 and in a Durable Object, and answers with the failures.
import { drizzle as drizzleOnD1 } from "drizzle-orm/d1";
import { drizzle as drizzleOnStorage } from "drizzle-orm/durable-sqlite";
import type { DurableStorage } from "../../../src/drivers/durable-sqlite.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import { describeWorkflowStore } from "../../../src/testing/describe-workflow-store.ts";
import { cases } from "./vitest.ts";

interface Env {
  readonly DB: { exec(sql: string): Promise<unknown> };
  readonly SUITE: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

async function runCases(): Promise<Response> {
  const failures: string[] = [];
  for (const { name, run } of cases) {
    try {
      await run();
    } catch (error) {
      failures.push(`${name}: ${(error as Error).stack}`);
    }
  }
  return Response.json({ cases: cases.length, failures });
}

const maxRowBytes = 2_000_000;

/** D1 runs each line. */
const deleteAll = "delete from workflow_runs;\ndelete from workflow_pauses;";

export default {
  async fetch(request: Request, { DB, SUITE }: Env): Promise<Response> {
    if (new URL(request.url).pathname === "/durable-object") {
      return SUITE.get(SUITE.idFromName("suite")).fetch(request);
    }
    await migrate(drizzleOnD1(DB as never));
    cases.length = 0;
    describeWorkflowStore({
      name: "SQLiteStore on D1",
      capabilities: { transactions: false, maxRowBytes },
      async open({ clock }) {
        await DB.exec(deleteAll);
        return new SQLiteStore(drizzleOnD1(DB as never), { clock });
      },
    });
    return runCases();
  },
};

export class Suite {
  readonly #storage: DurableStorage;

  constructor({ storage }: { readonly storage: DurableStorage }) {
    this.#storage = storage;
  }

  async fetch(): Promise<Response> {
    const db = drizzleOnStorage(this.#storage as never);
    await migrate(db);
    cases.length = 0;
    describeWorkflowStore({
      name: "SQLiteStore in a Durable Object",
      capabilities: { maxRowBytes },
      open: async ({ clock }) => {
        this.#storage.sql.exec(deleteAll);
        return new SQLiteStore(db, { clock });
      },
    });
    return runCases();
  }
}
