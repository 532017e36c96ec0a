// A Durable Object that moves runs between its own database and D1, and mirrors one to the other.
import { drizzle as drizzleOnD1 } from "drizzle-orm/d1";
import { drizzle } from "drizzle-orm/durable-sqlite";
import { migrate } from "../../../src/migrations/migrate.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../../src/stores/sqlite/sqlite-store.ts";
import {
  compareStores,
  copyStore,
  exportStore,
  importStore,
  MirroredStore,
} from "../../../src/transfer/index.ts";

interface Env {
  readonly DB: Parameters<typeof drizzleOnD1>[0];
  readonly SHARDS: {
    idFromName(name: string): unknown;
    get(id: unknown): { fetch(request: Request): Promise<Response> };
  };
}

interface State {
  readonly storage: Parameters<typeof drizzle>[0];
}

export default {
  fetch: (request: Request, { SHARDS }: Env) => SHARDS.get(SHARDS.idFromName("a")).fetch(request),
};

export class Shard {
  readonly #state: State;
  readonly #env: Env;

  constructor(state: State, env: Env) {
    this.#state = state;
    this.#env = env;
  }

  async fetch(request: Request): Promise<Response> {
    try {
      const db = drizzle(this.#state.storage);
      const d1 = drizzleOnD1(this.#env.DB);
      await migrate(db);
      await migrate(d1);
      const stores = { inObject: new SQLiteStore(db), inD1: new SQLiteStore(d1) };
      const isMirror = new URL(request.url).pathname === "/mirror";
      return Response.json(await (isMirror ? mirror(stores) : transfer(stores)));
    } catch (error) {
      return Response.json({ failure: String((error as Error).stack) });
    }
  }
}

interface Stores {
  readonly inObject: WorkflowStore;
  readonly inD1: WorkflowStore;
}

async function fill(store: WorkflowStore): Promise<void> {
  for (let index = 0; index < 12; index++) {
    const { runId } = await store.createRun({
      runId: `r${index}`,
      workflowId: "w",
      input: [index],
    });
    await store.createStepExecution({ runId, stepId: "s" });
    await store.saveStepOutput(runId, "s", new Uint8Array([index]));
    await store.saveState(runId, "k", "x".repeat(index * 10_000));
  }
}

async function isEqual(one: WorkflowStore, other: WorkflowStore): Promise<boolean> {
  return (await compareStores(one, other)).equal;
}

async function transfer({ inObject, inD1 }: Stores) {
  await fill(inD1);
  await copyStore(inD1, inObject);
  const copied = await isEqual(inD1, inObject);
  await inD1.deleteRuns({ status: ["PENDING"] });
  await importStore(inD1, exportStore(inObject), { onConflict: "fail" });
  const imported = await isEqual(inD1, inObject);
  const memory = new MemoryStore();
  await importStore(memory, exportStore(inD1), { onConflict: "fail" });
  await inObject.deleteRuns({ status: ["PENDING"] });
  await copyStore(memory, inObject);
  return {
    copied,
    imported,
    returned: await isEqual(memory, inObject),
    runs: (await inD1.countRuns()).PENDING,
  };
}

/** Mirrors to D1, switches to it, mirrors back, and switches again. */
async function mirror({ inObject, inD1 }: Stores) {
  const store = new MirroredStore(inObject, inD1);
  await fill(store);
  await store.drain();
  const followed = await isEqual(inObject, inD1);
  // The secondary has a newer value in a run of the same revision, and lacks another run.
  await inD1.saveState("r1", "later", 1);
  await inD1.deleteRun("r2");
  const { differing } = await store.resync();
  const refused = store
    .divergence()
    .failedRuns.map(({ runId, error }) => [runId, (error as { code: string }).code]);
  await inD1.deleteRun("r1");
  await store.resync();
  const repaired = await isEqual(inObject, inD1);
  await store.switchOver();
  const isSwitched = store.answering === inD1;
  await store.batch((write) => write.updateRun("r3", { progress: 0.5 }));
  await store.saveState("r3", "k", 2);
  await store.drain();
  const followedBack = await isEqual(inObject, inD1);
  await inObject.saveState("r4", "later", 1);
  await store.switchOver();
  const { failedRuns, missedChanges } = store.divergence();
  const failures = failedRuns.length + missedChanges;
  const isBack = store.answering === inObject;
  const equal = await isEqual(inObject, inD1);
  return {
    followed,
    differing,
    refused,
    repaired,
    isSwitched,
    followedBack,
    isBack,
    equal,
    failures,
  };
}
