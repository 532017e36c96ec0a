import { open, readFile, rename, writeFile, type FileHandle } from "node:fs/promises";
import {
  createBulkChanges,
  MemoryStore,
  type BatchWriter,
  type Clock,
  type CreateRunOptions,
  type PrunePolicy,
  type RunBundle,
  type WorkflowStore,
} from "gorkflow";
import type { WorkflowPause } from "gorkflow/schema";
import { v7 as uuidv7 } from "uuid";
import { decodeCommit, encodeCommit, type Commit } from "./commits.ts";

/**
 * A custom store: it keeps everything in memory and appends each commit to a file as a line of JSON.
 *
 * A write is acknowledged after its line is on disk. When the file is opened again, only a last line that a crash cut
 * off is ignored. One process at a time may open the file.
 */
export async function openJournalStore(
  path: string,
  options: { readonly clock?: Clock } = {},
): Promise<WorkflowStore> {
  const memory = new MemoryStore(options);
  await replay(path, memory);
  const journal = await open(path, "a");
  return makeStore(memory, journal);
}

/** Writes of one run. The first argument is its id or contains it. */
const runWrites = [
  "updateRun",
  "reopenRun",
  "deleteRun",
  "createStepExecution",
  "updateStepExecution",
  "saveStepAttempt",
  "saveStepOutput",
  "saveState",
  "deleteState",
  "extendLease",
  "releaseLease",
] as const satisfies readonly (keyof WorkflowStore)[];

function makeStore(memory: MemoryStore, journal: FileHandle): WorkflowStore {
  /** Runs `work` in a transaction of the `MemoryStore`. It rolls back if the file cannot be written. */
  const commit = <T>(work: (tx: WorkflowStore) => Promise<T>, signal?: AbortSignal): Promise<T> =>
    memory.transaction(
      async (tx) => {
        const touched: Touched = { runIds: new Set(), pauses: false };
        const result = await work(noteChanges(tx, touched));
        signal?.throwIfAborted();
        const changes = await readChanges(tx, touched);
        if (changes.runs.length > 0 || changes.pauses !== null) {
          await journal.appendFile(`${encodeCommit(changes)}\n`);
          await journal.sync();
        }
        return result;
      },
      { signal },
    );

  /** For operations in several parts: if one fails, the parts before it are kept. */
  const commitAll = async <T>(work: (tx: WorkflowStore) => Promise<T>): Promise<T> => {
    const [outcome] = await commit((tx) => Promise.allSettled([work(tx)]));
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  };

  const writes: Partial<WorkflowStore> = {
    createRun: (run, options) => commit((tx) => tx.createRun(run, options)),
    claimRuns: (claim) => commit((tx) => tx.claimRuns(claim)),
    pauseWorkflow: (id, options) => commit((tx) => tx.pauseWorkflow(id, options)),
    resumeWorkflow: (id, options) => commit((tx) => tx.resumeWorkflow(id, options)),
    batch: (collect, options) => commit((tx) => tx.batch(collect, options)),
    writeBundles: (bundles, options) => commitAll((tx) => tx.writeBundles(bundles, options)),
    pruneRuns: (policy) => {
      const own = copyPolicy(policy);
      return commitAll((tx) => tx.pruneRuns(own));
    },
    transaction: (work, options) => commit(work, options?.signal),
    close: async () => {
      await memory.close();
      await journal.close().catch(() => undefined);
    },
  };
  for (const method of runWrites) {
    Object.assign(writes, {
      [method]: (...args: unknown[]) =>
        commit((tx) => Reflect.apply(tx[method], tx, args) as Promise<unknown>),
    });
  }
  return withBulkChanges(overlay(memory, writes));
}

/** The caller may change a policy while the transaction lists the runs. `pruneRuns` of `MemoryStore` checks the copy. */
function copyPolicy(policy: PrunePolicy): PrunePolicy {
  const copies = Object.entries(policy ?? {}).map(([name, value]: [string, unknown]) => [
    name,
    value instanceof Date ? new Date(value) : Array.isArray(value) ? [...value] : value,
  ]);
  return Object.fromEntries(copies) as PrunePolicy;
}

/** Makes the bulk changes of the store's own operations. */
function withBulkChanges(store: WorkflowStore): WorkflowStore {
  return overlay(store, createBulkChanges(store));
}

/** Replaces some methods of a store. */
function overlay(store: WorkflowStore, replaced: Partial<WorkflowStore>): WorkflowStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(replaced, name) ?? Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

/** What a transaction may have changed. */
interface Touched {
  readonly runIds: Set<string>;
  pauses: boolean;
}

/** Wraps `tx` so that it adds what it may change to `touched`. */
function noteChanges(tx: WorkflowStore, touched: Touched): WorkflowStore {
  const note = (argument: unknown): void => {
    const id =
      typeof argument === "object" && argument !== null && "runId" in argument
        ? argument.runId
        : argument;
    if (typeof id === "string") touched.runIds.add(id);
  };
  const notePause = (changed: boolean): boolean => {
    touched.pauses ||= changed;
    return changed;
  };
  const noting: Partial<WorkflowStore> = {
    createRun: async (run, options) => {
      const created = await tx.createRun(run, options);
      note(created);
      note(options?.takeKeyFrom);
      return created;
    },
    claimRuns: async (claim) => {
      const claimed = await tx.claimRuns(claim);
      claimed.forEach(note);
      return claimed;
    },
    pauseWorkflow: async (id, options) => notePause(await tx.pauseWorkflow(id, options)),
    resumeWorkflow: async (id, options) => notePause(await tx.resumeWorkflow(id, options)),
    batch: (collect, options) => tx.batch((writer) => collect(noteWrites(writer, note)), options),
    writeBundles: (bundles, options) => {
      for (const bundle of Array.isArray(bundles) ? bundles : [])
        note((bundle as RunBundle | null)?.run);
      return tx.writeBundles(bundles, options);
    },
    pruneRuns: async (policy) => {
      const before = await listRunIds(tx);
      try {
        return await tx.pruneRuns(policy);
      } finally {
        const after = new Set(await listRunIds(tx));
        before.filter((id) => !after.has(id)).forEach(note);
      }
    },
    transaction: (work, options) =>
      tx.transaction((nested) => work(noteChanges(nested, touched)), options),
  };
  for (const method of runWrites) {
    Object.assign(noting, {
      [method]: (...args: unknown[]) => {
        note(args[0]);
        return Reflect.apply(tx[method], tx, args) as unknown;
      },
    });
  }
  return withBulkChanges(overlay(tx, noting));
}

function noteWrites(writer: BatchWriter, note: (argument: unknown) => void): BatchWriter {
  return new Proxy(writer, {
    get:
      (target, method: keyof BatchWriter) =>
      (first: never, ...rest: never[]) => {
        // Without an id here, the generated one would be unknown.
        const named =
          method === "createRun" ? Object.assign({ runId: uuidv7() }, definedOf(first)) : first;
        note(named);
        if (method === "createRun") note((rest[0] as CreateRunOptions | undefined)?.takeKeyFrom);
        Reflect.apply(target[method], target, [named, ...rest]);
      },
  });
}

function definedOf(values: object): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

async function listRunIds(store: WorkflowStore): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof store.listRuns>> = await store.listRuns({
      cursor,
      limit: 1000,
    });
    ids.push(...page.runs.map(({ runId }) => runId));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}

/** The present rows of the runs and pauses that a transaction has touched. */
async function readChanges(tx: WorkflowStore, { runIds, pauses }: Touched): Promise<Commit> {
  const runs: [string, RunBundle | null][] = [];
  for (const runId of runIds) runs.push([runId, await readBundle(tx, runId)]);
  return { runs, pauses: pauses ? await tx.listPausedWorkflows() : null };
}

async function readBundle(tx: WorkflowStore, runId: string): Promise<RunBundle | null> {
  const run = await tx.getRun(runId).catch(() => null);
  if (run === null) return null;
  // Bundles are selected by time: read the millisecond in which the run was created.
  const filter = {
    workflowId: run.workflowId,
    createdAfter: run.createdAt,
    createdBefore: new Date(run.createdAt.getTime() + 1),
  };
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof tx.readBundles>> = await tx.readBundles({
      filter,
      cursor,
    });
    const found = page.bundles.find((bundle) => bundle.run.runId === runId);
    if (found !== undefined) return found;
    cursor = page.nextCursor;
  } while (cursor !== null);
  return null;
}

/** Loads the file into memory, and rewrites it with only the current state of each run. */
async function replay(path: string, memory: MemoryStore): Promise<void> {
  const lines = (await readFile(path, "utf8").catch(() => "")).split("\n");
  // A crash cut off the text after the last line end. It was never acknowledged.
  lines.pop();
  const bundles = new Map<string, RunBundle>();
  let pauses: readonly WorkflowPause[] = [];
  for (const line of lines) {
    const commit = decodeCommit(line);
    pauses = commit.pauses ?? pauses;
    for (const [runId, bundle] of commit.runs) {
      if (bundle === null) bundles.delete(runId);
      else bundles.set(runId, bundle);
    }
  }
  await memory.writeBundles([...bundles.values()], { onConflict: "fail" });
  for (const { workflowId, pausedAt, reason } of pauses) {
    await memory.pauseWorkflow(workflowId, { pausedAt, reason: reason ?? undefined });
  }
  const commits = [...bundles].map((run): Commit => ({ runs: [run], pauses: null }));
  if (pauses.length > 0) commits.push({ runs: [], pauses });
  const compacted = commits.map((commit) => `${encodeCommit(commit)}\n`).join("");
  await writeFile(`${path}.new`, compacted, { flush: true });
  await rename(`${path}.new`, path);
}
