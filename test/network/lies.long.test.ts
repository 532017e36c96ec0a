import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { GorkflowError, StoreConnectionError } from "../../src/errors.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import {
  lies,
  socketLies,
  startLyingProxy,
  startLyingSocketProxy,
  type Lie,
  type LyingProxy,
  type LyingSocketProxy,
  type SocketLie,
} from "./support/lying-proxy.ts";
import { operations } from "./support/operations.ts";

let server: Sqld;
let direct: LibSQLStore;
let proxy: LyingProxy;
let socketProxy: LyingSocketProxy;
beforeAll(async () => {
  server = await startSqld();
  direct = await LibSQLStore.open(server.httpUrl);
  proxy = await startLyingProxy(server.port);
  socketProxy = await startLyingSocketProxy(server.port);
});
afterAll(async () => {
  await direct.close();
  await proxy.close();
  await socketProxy.close();
  await server.stop();
});

/** Lies that only the end of the time of a call ends. */
const silent: ReadonlySet<string> = new Set(["no answer", "an answer that never ends"]);

/** What every operation tells after one lie must be what is in the database. */
async function tellTheTruth(url: string, next: (string | null)[], lie: string): Promise<void> {
  const timeoutMs = silent.has(lie) ? 600 : 20_000;
  const store = await LibSQLStore.open({ url, timeoutMs, migrate: false });
  onTestFinished(() => store.close());
  for (const [name, { prepare, call, lieAt = 0, isDone }] of Object.entries(operations)) {
    await emptyDatabase(direct.db);
    const { runId } = await direct.createRun({ workflowId: "w" });
    const given = { runId, direct };
    await prepare?.(given);
    next.push(...Array.from({ length: lieAt }, () => null), lie);
    const startedAt = performance.now();
    const outcome = await call(store, given).then(
      () => null,
      (error: unknown) => error as GorkflowError,
    );
    const elapsedMs = performance.now() - startedAt;
    next.length = 0;
    const told = { name, lie, outcome: outcome?.message ?? "done" };
    expect({ ...told, isLate: elapsedMs > timeoutMs + 1500 }).toEqual({ ...told, isLate: false });
    if (outcome !== null) {
      expect({ ...told, code: outcome.code }).toEqual({ ...told, code: "STORE_CONNECTION" });
    }
    if (isDone === undefined) continue;
    const claimed = outcome === null || (outcome as StoreConnectionError).outcome;
    const expected = outcome === null ? true : claimed === "none" ? false : null;
    if (expected !== null) {
      expect({ ...told, isDone: await isDone(given) }).toEqual({ ...told, isDone: expected });
    }
  }
}

describe("over HTTP every operation tells the truth after", () => {
  test.each(Object.keys(lies) as Lie[])("%s", { timeout: 180_000 }, async (lie) => {
    await tellTheTruth(proxy.url, proxy.lies, lie);
  });
});

describe("over a WebSocket every operation tells the truth after", () => {
  test.each(Object.keys(socketLies) as SocketLie[])("%s", { timeout: 180_000 }, async (lie) => {
    await tellTheTruth(socketProxy.url, socketProxy.lies, lie);
  });
});
