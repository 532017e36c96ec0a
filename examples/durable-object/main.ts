// npm run deploy
//
// Each customer has a Durable Object with a database of its own. Its runs sleep until the alarm of the object wakes them.
import { min } from "drizzle-orm";
import { drizzle } from "drizzle-orm/durable-sqlite";
import { Engine, GorkflowError, SQLiteStore } from "gorkflow";
import { migrate } from "gorkflow/migrations";
import { workflowRuns } from "gorkflow/schema";
import { reminder } from "./workflow.ts";

type Storage = Parameters<typeof drizzle>[0];

interface State {
  readonly storage: Storage & {
    setAlarm(time: number): Promise<void>;
    deleteAlarm(): Promise<void>;
  };
  blockConcurrencyWhile(work: () => Promise<unknown>): Promise<unknown>;
}

interface Env {
  readonly CUSTOMERS: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

export default {
  async fetch(request: Request, { CUSTOMERS }: Env): Promise<Response> {
    const [, customer = ""] = new URL(request.url).pathname.split("/");
    return CUSTOMERS.get(CUSTOMERS.idFromName(customer)).fetch(request);
  },
};

const leaseMs = 30_000;

export class Customer {
  readonly #storage: State["storage"];
  readonly #db: ReturnType<typeof drizzle>;
  readonly #store: SQLiteStore<ReturnType<typeof drizzle>>;

  constructor(state: State) {
    this.#storage = state.storage;
    this.#db = drizzle(state.storage);
    this.#store = new SQLiteStore(this.#db);
    // The migrations are part of the bundle.
    void state.blockConcurrencyWhile(() => migrate(this.#db));
  }

  async fetch(request: Request): Promise<Response> {
    try {
      if (request.method === "POST") {
        const engine = new Engine(this.#store);
        await engine.start(reminder, await request.json());
        await engine.close();
        await this.alarm();
      }
      const { runs } = await this.#store.listRuns({ payloads: true });
      return Response.json(runs.map(({ runId, status, output }) => ({ runId, status, output })));
    } catch (error) {
      if (!(error instanceof GorkflowError)) throw error;
      return Response.json({ error: error.code, message: error.message }, { status: 400 });
    }
  }

  /** Executes the runs that are due, and sets the alarm to the time of the next one. */
  async alarm(): Promise<void> {
    // If the object is evicted meanwhile, the alarm resumes its runs when their leases have expired.
    await this.#storage.setAlarm(Date.now() + leaseMs);
    const engine = new Engine(this.#store, { leaseMs }).register(reminder);
    try {
      await engine.recover();
    } finally {
      await engine.close();
    }
    const next = this.#db
      .select({ at: min(workflowRuns.wakeAt) })
      .from(workflowRuns)
      .get();
    if (next?.at) await this.#storage.setAlarm(next.at.getTime());
    else await this.#storage.deleteAlarm();
  }
}
