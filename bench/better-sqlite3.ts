/**
 * `SQLiteStore` on better-sqlite3 against `LibSQLStore` on our own client: the same file system, schema, durability and
 * input, in turns. A rate above 1 means that better-sqlite3 is faster. Needs Node 22. From the root: `npx tsx bench/better-sqlite3.ts [folder]`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { z } from "zod";
import {
  defineStep,
  defineWorkflow,
  Engine,
  LibSQLStore,
  SQLiteStore,
  type WorkflowStore,
} from "../src/index.ts";
import { migrate } from "../src/migrations/migrate.ts";

type Durability = "full" | "normal";

interface Subject {
  readonly name: string;
  readonly store: WorkflowStore;
  close(): Promise<void>;
}

const input = { order: "x".repeat(488) };
const listed = 100;

async function openOurs(path: string, durability: Durability): Promise<Subject> {
  const store = await LibSQLStore.open({ url: `file:${path}`, durability });
  return { name: "our client", store, close: () => store.close() };
}

async function openBetterSQLite3(path: string, durability: Durability): Promise<Subject> {
  const client = new Database(path);
  client.pragma("auto_vacuum = incremental");
  client.pragma("journal_mode = wal");
  client.pragma(`synchronous = ${durability}`);
  client.pragma("foreign_keys = on");
  const db = drizzle({ client });
  await migrate(db);
  return {
    name: "better-sqlite3",
    store: new SQLiteStore(db),
    close: async () => void client.close(),
  };
}

const step = (id: string) =>
  defineStep({ id, input: z.number(), output: z.number(), run: (value) => value + 1 });
const workflow = defineWorkflow({ id: "four-steps" })
  .step(step("a"))
  .step(step("b"))
  .step(step("c"))
  .step(step("d"))
  .build();

/** Each kind of work: its calls in a round, the operations of a call, and a call of one subject. */
const works: readonly {
  readonly name: string;
  readonly calls: number;
  readonly size?: number;
  readonly run: (store: WorkflowStore, engine: Engine, call: number) => Promise<unknown>;
}[] = [
  {
    name: "createRun, one after the other",
    calls: 300,
    run: (store) => store.createRun({ workflowId: "bench", input }),
  },
  {
    name: "createRun, 100 at once",
    calls: 10,
    size: 100,
    run: (store) =>
      Promise.all(
        Array.from({ length: 100 }, () => store.createRun({ workflowId: "bench", input })),
      ),
  },
  { name: "getRun", calls: 2000, run: (store, _, call) => store.getRun(`run-${call % listed}`) },
  {
    name: "updateRun",
    calls: 300,
    run: (store, _, call) =>
      store.updateRun(`run-${call % listed}`, { progress: (call % 100) / 100 }),
  },
  { name: "listRuns(100)", calls: 200, run: (store) => store.listRuns({ limit: 100 }) },
  {
    name: "claimRuns and releaseLease",
    calls: 200,
    size: 2,
    async run(store) {
      const workflows = [{ workflowId: "claimed", workflowVersion: "1" }];
      const claim = { workerId: "bench", leaseMs: 60_000, limit: 1, workflows };
      const [claimed] = await store.claimRuns(claim);
      if (claimed === undefined) throw new Error("nothing was claimed");
      await store.releaseLease({ runId: claimed.runId, workerId: "bench" });
    },
  },
  {
    name: "run of four steps",
    calls: 40,
    async run(_, engine) {
      const { output } = await engine.run(workflow, 1);
      if (output !== 5) throw new Error(`the run came to ${String(output)}`);
    },
  },
];

interface Cost {
  readonly wallUs: number;
  readonly cpuUs: number;
}

const warmUps = 2;
const rounds = 7;

/** The median costs of one operation of each subject. They take turns, so that other load of the machine slows both. */
async function measureInTurns(
  calls: number,
  size: number,
  run: (subject: number, call: number) => Promise<unknown>,
): Promise<[Cost, Cost]> {
  const costs: [Cost[], Cost[]] = [[], []];
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const [subject, found] of costs.entries()) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 5));
      const cpu = process.cpuUsage();
      const before = performance.now();
      for (let call = 0; call < calls; call++) await run(subject, round * calls + call);
      const wallUs = ((performance.now() - before) * 1000) / calls / size;
      const { user, system } = process.cpuUsage(cpu);
      if (round >= warmUps) found.push({ wallUs, cpuUs: (user + system) / calls / size });
    }
  }
  return [medianOf(costs[0]), medianOf(costs[1])];
}

function medianOf(costs: readonly Cost[]): Cost {
  const median = (name: keyof Cost) =>
    costs.map((cost) => cost[name]).toSorted((a, b) => a - b)[Math.floor(costs.length / 2)] ??
    Number.NaN;
  return { wallUs: median("wallUs"), cpuUs: median("cpuUs") };
}

async function compare(folder: string, durability: Durability): Promise<void> {
  const subjects = [
    await openOurs(join(folder, `ours-${durability}.db`), durability),
    await openBetterSQLite3(join(folder, `better-sqlite3-${durability}.db`), durability),
  ];
  const engines = subjects.map(({ store }) => new Engine(store).register(workflow));
  for (const { store } of subjects) {
    for (let index = 0; index < listed; index++) {
      await store.createRun({ runId: `run-${index}`, workflowId: "bench", input });
    }
    await store.createRun({ runId: "claimed", workflowId: "claimed", input });
  }
  const acknowledged = subjects.map(() => listed + 1);
  console.log(`\ndurability ${durability}, µs an operation: our client, better-sqlite3, rate`);
  for (const { name, calls, size = 1, run } of works) {
    const created = /^createRun|^run of/.test(name) ? size : 0;
    const [ours, others] = await measureInTurns(calls, size, async (subject, call) => {
      const [{ store }, engine] = [subjects[subject] as Subject, engines[subject] as Engine];
      await run(store, engine, call);
      acknowledged[subject] = (acknowledged[subject] ?? 0) + created;
    });
    const compared = (key: keyof Cost) =>
      `${ours[key].toFixed(1)}, ${others[key].toFixed(1)}, ${(ours[key] / others[key]).toFixed(2)}×`;
    console.log(`  ${name}: wall ${compared("wallUs")}; CPU ${compared("cpuUs")}`);
  }
  for (const [index, { name, store, close }] of subjects.entries()) {
    await engines[index]?.close();
    const counts = Object.values(await store.countRuns());
    const found = counts.reduce((sum, count) => sum + count, 0);
    console.log(`  ${name}: ${acknowledged[index]} runs were acknowledged, ${found} are there`);
    if (found !== acknowledged[index]) process.exitCode = 1;
    await close();
  }
}

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), "gorkflow-bench-"));
try {
  for (const durability of ["full", "normal"] as const) await compare(folder, durability);
} finally {
  await rm(folder, { recursive: true });
}
