import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { desc, eq, getTableColumns } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { LibSQLStore } from "../dist/index.js";
import { workflowRuns } from "../dist/schema/index.js";
import { createClient, Database } from "./libsql.ts";

/** Where the files of a run of the benchmarks are; gone at its end. */
export const folder = mkdtempSync(join(tmpdir(), "gorkflow-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

let files = 0;
export const newFile = (name: string): string => join(folder, `${name}-${++files}.db`);
export const bytesOnDisk = (path: string): number =>
  ["", "-wal"].reduce(
    (sum, suffix) => sum + (statSync(path + suffix, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );

export type Durability = "full" | "normal";

/** What a run carries: `bytes` of JSON. */
export const payload = (bytes: number) => ({ order: "x".repeat(Math.max(0, bytes - 12)) });

export interface RunSubject {
  readonly name: string;
  create(id: string, input: unknown): Promise<unknown> | unknown;
  get(id: string): Promise<unknown> | unknown;
  list(limit: number): Promise<readonly unknown[]> | readonly unknown[];
  /** Runs in the file, as the subject's own database counts them. */
  rows(): Promise<number> | number;
  close(): Promise<void> | void;
}

function countRows(path: string): number {
  const database = new Database(path);
  const [n] = database.prepare("select count(*) from workflow_runs").raw(true).get() as [number];
  database.close();
  return n;
}

export async function openOurs(
  durability: Durability,
  path = newFile("ours"),
): Promise<RunSubject & { store: LibSQLStore; path: string }> {
  const store = await LibSQLStore.open({ url: `file:${path}`, durability });
  return {
    name: "gorkflow",
    path,
    store,
    create: (runId, input) => store.createRun({ runId, workflowId: "bench", input }),
    get: (runId) => store.getRun(runId),
    list: async (limit) => (await store.listRuns({ limit })).runs,
    rows: () => countRows(path),
    close: () => store.close(),
  };
}

const columns = Object.values(getTableColumns(workflowRuns)).map(({ name }) => name);

/** The floor: a prepared statement of the binding on our own table, with the same pragmas. */
export async function openFloor(durability: Durability): Promise<RunSubject> {
  const path = newFile("floor");
  await (await LibSQLStore.open(`file:${path}`)).close();
  const database = new Database(path);
  database.exec(
    `pragma journal_mode = wal; pragma synchronous = ${durability}; pragma foreign_keys = on`,
  );
  const insert = database.prepare(
    `insert into workflow_runs (run_id, workflow_id, workflow_version, status, progress, input, attempt, revision,
      created_at, updated_at) values (?, ?, '1', 'PENDING', 0, ?, 0, 1, ?, ?)`,
  );
  const select = database
    .prepare(`select ${columns.join(", ")} from workflow_runs where run_id = ?`)
    .raw(true);
  const inputAt = columns.indexOf("input");
  const list = database
    .prepare(`select ${columns.filter((name) => !["input", "output", "context"].includes(name)).join(", ")}
      from workflow_runs order by created_at desc, run_id desc limit ?`)
    .raw(true);
  return {
    name: "floor",
    create(id, input) {
      const now = Date.now();
      return insert.run([id, "bench", JSON.stringify(input), now, now]);
    },
    get(id) {
      const row = select.get([id]) as unknown[];
      return JSON.parse(row[inputAt] as string) as unknown;
    },
    list: (limit) => list.all([limit]),
    rows: () => countRows(path),
    close: () => void database.close(),
  };
}

/** Drizzle on `@libsql/client`, on our own table. */
export async function openDrizzle(durability: Durability): Promise<RunSubject> {
  const path = newFile("drizzle");
  await (await LibSQLStore.open(`file:${path}`)).close();
  const client = createClient({ url: `file:${path}`, concurrency: 1 });
  await client.executeMultiple(`pragma journal_mode = wal; pragma synchronous = ${durability}`);
  const db = drizzle({ client });
  const { input: _i, output: _o, context: _c, ...summary } = getTableColumns(workflowRuns);
  return {
    name: "drizzle on @libsql/client",
    create: (runId, input) => db.insert(workflowRuns).values({ runId, workflowId: "bench", input }),
    get: (runId) => db.select().from(workflowRuns).where(eq(workflowRuns.runId, runId)).get(),
    list: (limit) =>
      db
        .select(summary)
        .from(workflowRuns)
        .orderBy(desc(workflowRuns.createdAt), desc(workflowRuns.runId))
        .limit(limit),
    rows: () => countRows(path),
    close: () => client.close(),
  };
}

/** openworkflow's SQLite backend: node:sqlite, WAL, `synchronous` as SQLite has it, which is full. */
export async function openOpenWorkflow() {
  const { BackendSqlite } = await import("openworkflow/sqlite");
  const path = newFile("openworkflow");
  const backend = BackendSqlite.connect(path);
  const ids = new Map<string, string>();
  const subject: RunSubject = {
    name: "openworkflow",
    async create(id, input) {
      const run = await backend.createWorkflowRun({
        workflowName: "bench",
        version: null,
        idempotencyKey: null,
        config: {},
        context: null,
        input: input as never,
        parentStepAttemptNamespaceId: null,
        parentStepAttemptId: null,
        availableAt: null,
        deadlineAt: null,
        timeoutMs: null,
      });
      ids.set(id, run.id);
    },
    get: (id) => backend.getWorkflowRun({ workflowRunId: ids.get(id) ?? "" }),
    list: async (limit) => (await backend.listWorkflowRuns({ limit })).data,
    rows: async () =>
      Object.values(await backend.countWorkflowRuns()).reduce((sum, count) => sum + count, 0),
    close: () => backend.stop(),
  };
  return { ...subject, backend, path };
}

/** What Mastra keeps of a run. */
const snapshot = (runId: string, input: unknown) => ({
  runId,
  status: "running",
  value: {},
  context: { input },
  serializedStepGraph: [],
  activePaths: [],
  activeStepsPath: {},
  suspendedPaths: {},
  resumeLabels: {},
  waitingPaths: {},
  timestamp: Date.now(),
});

/** Mastra's libSQL storage of workflow snapshots. */
export async function openMastra(): Promise<RunSubject> {
  const { LibSQLStore: MastraStore } = await import("@mastra/libsql");
  const path = newFile("mastra");
  // As its users make it. It sets `synchronous` to normal, and lets one write at a time through.
  const store = new MastraStore({ id: "bench", url: `file:${path}` });
  await store.init();
  const storage = store.stores.workflows;
  if (storage === undefined) throw new Error("Mastra's store has no workflows");
  return {
    name: "mastra",
    create: (runId, input) =>
      storage.persistWorkflowSnapshot({
        workflowName: "bench",
        runId,
        snapshot: snapshot(runId, input) as never,
      }),
    get: (runId) => storage.loadWorkflowSnapshot({ workflowName: "bench", runId }),
    list: async (limit) =>
      (await storage.listWorkflowRuns({ workflowName: "bench", perPage: limit, page: 0 })).runs,
    rows: async () => (await storage.listWorkflowRuns({ workflowName: "bench" })).total,
    close: () => store.close(),
  };
}
