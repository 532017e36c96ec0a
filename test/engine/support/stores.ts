import { onTestFinished } from "vitest";
import type { Clock } from "../../../src/store/clock.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import { migratedDatabase } from "../../support/databases.ts";
import { startSqld } from "../../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

/** A new folder, which is removed when the test has ended. */
async function makeFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  onTestFinished(() => folder.remove());
  return folder;
}

/** The URL of a new file. */
export const fileUrl = async (): Promise<string> => migratedDatabase(await makeFolder());

/** The URL of a new server, which ends when the test has ended. */
export async function serverUrl(): Promise<string> {
  const server = await startSqld();
  onTestFinished(() => server.stop());
  return server.httpUrl;
}

/** Databases that processes can share. */
export const databases: readonly [string, () => Promise<string>][] = [
  ["a file", fileUrl],
  ["a server", serverUrl],
];

/** A store on the database, closed when the test has ended. */
export async function openStore(url: string, clock?: Clock): Promise<LibSQLStore> {
  const store = await LibSQLStore.open({ url, clock });
  onTestFinished(() => store.close());
  return store;
}

/** The stores on which the engine is tested. */
export const stores: readonly [string, (clock?: Clock) => Promise<WorkflowStore>][] = [
  ["memory", async (clock) => new MemoryStore({ clock })],
  ["a file", async (clock) => openStore(await fileUrl(), clock)],
];
