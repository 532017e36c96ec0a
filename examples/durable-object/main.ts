// npm run deploy
//
// Each customer has a Durable Object with a database of its own. Its runs sleep until the alarm of the object wakes them.
import { and, eq, isNotNull, or, sql } from "drizzle-orm";
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

  /** The number of calls that execute runs. The last one that ends sets the alarm. */
  #working = 0;

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
        const order = await request.json();
        await this.#work((engine) => engine.start(reminder, order));
      }
      const { runs } = await this.#store.listRuns({ payloads: true });
      return Response.json(runs.map(({ runId, status, output }) => ({ runId, status, output })));
    } catch (error) {
      if (!(error instanceof GorkflowError)) throw error;
      return Response.json({ error: error.code, message: error.message }, { status: 400 });
    }
  }

  async alarm(): Promise<void> {
    await this.#work();
  }

  /** Executes the runs that are due, and sets the alarm to the time of the next one. */
  async #work(start?: (engine: Engine) => Promise<unknown>): Promise<void> {
    const begunAt = Date.now();
    const engine = new Engine(this.#store, { leaseMs }).register(reminder);
    this.#working += 1;
    try {
      // If the object is evicted meanwhile, this alarm looks for what it has left.
      await this.#storage.setAlarm(begunAt + leaseMs);
      await start?.(engine);
      await engine.recover();
    } finally {
      await engine.close();
      this.#working -= 1;
      if (this.#working === 0) await this.#setAlarm(begunAt);
    }
  }

  async #setAlarm(begunAt: number): Promise<void> {
    const { status, wakeAt, leaseExpiresAt } = workflowRuns;
    const later = Date.now() + leaseMs;
    // A run that was being executed when the object was evicted is free when its lease expires.
    const [next] = this.#db
      .select({ at: sql<number | null>`min(coalesce(${wakeAt}, ${leaseExpiresAt}, ${later}))` })
      .from(workflowRuns)
      .where(or(eq(status, "PENDING"), and(eq(status, "RUNNING"), isNotNull(leaseExpiresAt))))
      .all();
    if (typeof next?.at !== "number") return this.#storage.deleteAlarm();
    // A run that is still due cannot be claimed, because its workflow is paused, for example.
    await this.#storage.setAlarm(next.at > begunAt ? next.at : later);
  }
}
