import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Clock } from "../../../src/store/clock.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";

/** A folder of its own, gone when the test has ended. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "gorkflow-engine-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A store in a new file, closed when the test has ended. */
async function openFileStore(clock?: Clock): Promise<LibSQLStore> {
  const folder = await makeFolder();
  const store = await LibSQLStore.open({ url: `file:${join(folder, "workflows.db")}`, clock });
  onTestFinished(() => store.close());
  return store;
}

/** What every behaviour of the engine is tested on. */
export const stores: readonly [string, (clock?: Clock) => Promise<WorkflowStore>][] = [
  ["memory", async (clock) => new MemoryStore({ clock })],
  ["a file", openFileStore],
];
