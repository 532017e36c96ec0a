// A Durable Object whose own transaction is open while the store is called.
import { drizzle } from "drizzle-orm/durable-sqlite";
import { migrate } from "../../../../src/migrations/migrate.ts";
import { workflowRuns } from "../../../../src/schema/tables.ts";
import { SQLiteStore } from "../../../../src/stores/sqlite/sqlite-store.ts";

interface Env {
  readonly OBJECTS: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

export default {
  fetch: (request: Request, { OBJECTS }: Env) =>
    OBJECTS.get(OBJECTS.idFromName("a")).fetch(request),
};

export class Application {
  readonly #storage: Parameters<typeof drizzle>[0];

  constructor({ storage }: { readonly storage: Parameters<typeof drizzle>[0] }) {
    this.#storage = storage;
  }

  async fetch(): Promise<Response> {
    const db = drizzle(this.#storage);
    await migrate(db);
    const store = new SQLiteStore(db);
    await store.createRun({ runId: "r", workflowId: "w" });
    // After this no turn of the event loop is due, so that nothing else delays the reads.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store.getRun("r");
    const calls: Promise<unknown>[] = [];
    const failure = new Error("mine");
    try {
      db.transaction((appTx) => {
        appTx.update(workflowRuns).set({ progress: 0.7 }).run();
        calls.push(
          store.getRun("r").then(({ progress }) => progress),
          store.readBundles().then(({ bundles }) => bundles[0]?.run.progress),
          store.transaction(async (tx) => (await tx.getRun("r")).progress),
          store.saveState("r", "k", 1),
        );
        throw failure;
      });
    } catch (error) {
      if (error !== failure) throw error;
    }
    const answers = await Promise.all(calls);
    return Response.json({ answers, state: await store.getAllState("r") });
  }
}
