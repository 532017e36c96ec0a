// Writes runs through a store, counts together with other processes, claims what is PENDING, and says which of
// it was acknowledged. Arguments: URL, kind of client, name of the writer, number of writes.
import { openFileStore, type ClientKind } from "../support/file-stores.ts";

const [url = "", kind = "", name = "", count = "0"] = process.argv.slice(2);
const { store, close } = await openFileStore(url, kind as ClientKind);
const lanes = 4;

/** A run by itself, one with its state in a batch, one with its output in a transaction. */
async function write(n: number): Promise<void> {
  const run = { runId: `${name}-${n}`, workflowId: "written", status: "COMPLETED" } as const;
  if (n % 3 === 0) {
    await store.createRun(run);
  } else if (n % 3 === 1) {
    await store.batch((writes) => {
      writes.createRun(run);
      writes.saveState(run.runId, "half", n);
    });
  } else {
    await store.transaction(async (tx) => {
      await tx.createRun(run);
      await tx.saveStepOutput(run.runId, "half", n);
    });
  }
  process.send?.({ written: run.runId });
}

/** One more, whoever else counts meanwhile. */
async function increment(): Promise<void> {
  for (;;) {
    const { value, revision } = await store.loadStateEntry("shared", "counter");
    try {
      await store.saveState("shared", "counter", Number(value) + 1, { expectedRevision: revision });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "REVISION_CONFLICT") throw error;
    }
  }
}

async function claim(): Promise<void> {
  const claimed = await store.claimRuns({ workerId: name, leaseMs: 60_000, limit: 3 });
  for (const { runId } of claimed) process.send?.({ claimed: runId });
}

async function work(lane: number): Promise<void> {
  for (let n = lane; n < Number(count); n += lanes) {
    await write(n);
    if (n % 10 === 0) {
      await increment();
      process.send?.({ counted: true });
      await claim();
    }
  }
}

await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
await close();
process.disconnect?.();
