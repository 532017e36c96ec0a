import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import type { StepExecution } from "../../src/schema/rows.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { compileProgram, startProgram, type Program } from "../support/child-processes.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { countAudit, createAudit, findFaults, readAudit, type AuditRow } from "./chaos/audit.ts";
import { makeWorkflow, outputOf, stepIds } from "./chaos/workflow.ts";

const runCount = Number(process.env["CHAOS_RUNS"] ?? 40);
const killingMs = Number(process.env["CHAOS_SECONDS"] ?? 10) * 1000;
const workerCount = 4;
const concurrency = 10;
/** Long enough that the work lasts for most of the killing. */
const stepMs = (0.7 * killingMs * workerCount * concurrency) / (runCount * stepIds.length);

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/chaos-worker.ts`);
});

interface Said {
  readonly ready: boolean;
}

/** A constant number of worker processes: a killed one is replaced. */
class Workers {
  readonly #url: string;
  readonly #leaseMs: number;
  #living: Program<Said>[] = [];
  #count = 0;
  #isOver = false;
  kills = 0;
  /** The exits of workers that were not killed. */
  readonly deserters: unknown[] = [];

  constructor(url: string, leaseMs: number) {
    this.#url = url;
    this.#leaseMs = leaseMs;
    for (let index = 0; index < workerCount; index++) this.#start();
  }

  killOne(): void {
    const victim = this.#living[Math.floor(Math.random() * this.#living.length)];
    if (victim === undefined) return;
    this.kills += 1;
    this.#remove(victim);
    void victim.kill();
    this.#start();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#living.map((worker) => worker.kill()));
  }

  #start(): void {
    const args = [
      this.#url,
      `worker-${this.#count++}`,
      String(this.#leaseMs),
      String(concurrency),
      String(stepMs),
    ];
    const worker = startProgram<Said>(program, args);
    this.#living.push(worker);
    void worker.ended.then((end) => {
      if (this.#isOver || !this.#living.includes(worker)) return;
      this.deserters.push(end);
      this.#remove(worker);
    });
  }

  #remove(worker: Program<Said>): void {
    this.#living = this.#living.filter((other) => other !== worker);
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Kills workers at random until the time is over. */
async function killWorkers(workers: Workers): Promise<void> {
  const until = performance.now() + killingMs;
  while (performance.now() < until) {
    await pause(100 + Math.random() * 900);
    workers.killOne();
  }
}

/** Resolves when all runs have ended. Fails only if there is no progress, so a slow machine may take long. */
async function waitForAll(store: LibSQLStore, workers: Workers): Promise<void> {
  const patienceMs = 60_000;
  let audited = 0;
  let until = performance.now() + patienceMs;
  for (;;) {
    const counts = await store.countRuns();
    if (counts.COMPLETED === runCount) return;
    expect(workers.deserters).toEqual([]);
    const failed = await store.listRuns({ status: ["FAILED", "CANCELLED"] });
    expect(failed.runs.map(({ status, error }) => ({ status, error }))).toEqual([]);
    // Parallel runs end at about the same time, after a long time in which none ends.
    const found = await countAudit(store.db);
    if (found > audited) until = performance.now() + patienceMs;
    audited = found;
    if (performance.now() > until) {
      const { runs } = await store.listRuns({ status: ["PENDING", "RUNNING"], limit: 20 });
      throw new Error(
        `nothing ends any more: ${JSON.stringify({ counts, now: new Date(), runs })}`,
      );
    }
    await pause(250);
  }
}

/** The expected row, output and state of a step at the end. */
function checkHistory(
  input: number,
  steps: readonly StepExecution[],
  outputs: Readonly<Record<string, unknown>>,
  state: Readonly<Record<string, unknown>>,
): void {
  expect(steps.map(({ stepId, executionIndex }) => [stepId, executionIndex])).toEqual(
    stepIds.map((stepId, index) => [stepId, index]),
  );
  let before = new Date(0);
  for (const step of steps) {
    expect(step).toMatchObject({ status: "COMPLETED", attempt: 1, error: null });
    expect(step.completedAt?.getTime()).toBeGreaterThanOrEqual(step.startedAt?.getTime() ?? NaN);
    expect(step.createdAt.getTime()).toBeGreaterThanOrEqual(before.getTime());
    if (step.stepId !== "left") before = step.createdAt;
  }
  const sibling = input + 3;
  expect(outputs).toEqual({
    first: input + 1,
    second: input + 2,
    left: sibling,
    right: sibling,
    join: 2 * sibling + 1,
    last: outputOf(input),
  });
  expect(state).toEqual(Object.fromEntries(stepIds.map((stepId) => [stepId, 1])));
}

/** Checks that each run ended once and each step had its effect once. */
async function checkAll(store: LibSQLStore, inputs: ReadonlyMap<string, number>) {
  const audit = await readAuditByRun(store);
  let cursor: string | undefined;
  let checked = 0;
  let claims = 0;
  do {
    const page = await store.readBundles({ limit: 100, cursor });
    expect(page.corrupt).toEqual([]);
    for (const { run, steps, outputs, state } of page.bundles) {
      const input = inputs.get(run.runId) ?? NaN;
      const rows: readonly AuditRow[] = audit.get(run.runId) ?? [];
      expect({ runId: run.runId, faults: findFaults(rows, stepIds) }).toEqual({
        runId: run.runId,
        faults: [],
      });
      expect(run).toMatchObject({
        status: "COMPLETED",
        input,
        output: outputOf(input),
        progress: 1,
        error: null,
        leaseExpiresAt: null,
      });
      const runClaims = rows.filter(({ status }) => status === "RUNNING").length;
      expect(run.attempt).toBe(runClaims);
      claims += runClaims;
      checkHistory(
        input,
        steps,
        Object.fromEntries(outputs.map(({ stepId, output }) => [stepId, output])),
        Object.fromEntries(state.map(({ key, value }) => [key, value])),
      );
      checked += 1;
    }
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(checked).toBe(inputs.size);
  return { runs: checked, claims, audited: [...audit.values()].flat().length };
}

async function readAuditByRun(store: LibSQLStore): Promise<Map<string, AuditRow[]>> {
  const byRun = new Map<string, AuditRow[]>();
  for (const row of await readAudit(store.db)) {
    byRun.set(row.runId, [...(byRun.get(row.runId) ?? []), row]);
  }
  return byRun;
}

async function openForAll(url: string) {
  // Durability is the server's decision.
  const durability = url.startsWith("file:") ? "normal" : undefined;
  const store = await LibSQLStore.open({ url, durability });
  onTestFinished(() => store.close());
  await createAudit(store.db);
  const starter = new Engine(store);
  const workflow = makeWorkflow({ workerId: "", stepMs: 0 });
  const inputs = new Map<string, number>();
  await Promise.all(
    Array.from({ length: runCount }, async (_, input) => {
      inputs.set(await starter.start(workflow, input), input);
    }),
  );
  await starter.close();
  return { store, inputs };
}

function startWorkers(url: string, leaseMs: number): Workers {
  const workers = new Workers(url, leaseMs);
  onTestFinished(() => workers.end());
  return workers;
}

const limit = { timeout: 300_000 + 10 * killingMs };

describe("with workers that are killed at random, each run ends once and each effect happens once", () => {
  test("on a file", limit, async ({ annotate }) => {
    const folder = await temporaryFolder();
    onTestFinished(() => folder.remove());
    const url = folder.database();
    const { store, inputs } = await openForAll(url);
    const workers = startWorkers(url, 1000);
    await killWorkers(workers);
    await waitForAll(store, workers);
    const figures = await checkAll(store, inputs);
    expect(workers.kills).toBeGreaterThan(3);
    expect(figures.claims).toBeGreaterThan(runCount);
    await annotate(JSON.stringify({ ...figures, kills: workers.kills }));
  });

  test("on a server that is also killed", limit, async ({ annotate }) => {
    const server = await startSqld();
    onTestFinished(() => server.stop());
    const url = server.httpUrl;
    const { store, inputs } = await openForAll(url);
    // The server serializes transactions and heartbeats of all workers, so a lease must outlast that queue.
    const workers = startWorkers(url, 8000);
    let serverKills = 0;
    const killServer = async (): Promise<void> => {
      const until = performance.now() + killingMs;
      while (performance.now() < until) {
        await pause(2000 + Math.random() * 4000);
        await server.restart();
        serverKills += 1;
      }
    };
    await Promise.all([killWorkers(workers), killServer()]);
    await waitForAll(store, workers);
    const figures = await checkAll(store, inputs);
    expect(workers.kills).toBeGreaterThan(3);
    expect(serverKills).toBeGreaterThan(0);
    expect(figures.claims).toBeGreaterThan(runCount);
    await annotate(JSON.stringify({ ...figures, kills: workers.kills, serverKills }));
  });
});
