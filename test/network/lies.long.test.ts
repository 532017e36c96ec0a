import { describe, expect, type TestContext } from "vitest";
import { GorkflowError, StoreConnectionError } from "../../src/errors.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";
import { startSqld } from "../support/sqld.ts";
import {
  lies,
  socketLies,
  startLyingProxy,
  startLyingSocketProxy,
  type Lie,
  type SocketLie,
} from "./support/lying-proxy.ts";
import { operations } from "./support/operations.ts";

interface LyingProxy {
  readonly url: string;
  /** What it does with the next requests, in order; null passes one on. */
  readonly lies: (string | null)[];
  close(): Promise<void>;
}

/** Lies that only the end of the time of a call ends. */
const silent: ReadonlySet<string> = new Set(["no answer", "an answer that never ends"]);

/** Checks that what each operation reports after one lie is what the database holds. */
async function checkOperations(
  startProxy: (port: number) => Promise<LyingProxy>,
  lie: string,
  onTestFinished: TestContext["onTestFinished"],
): Promise<void> {
  const server = await startSqld();
  onTestFinished(() => server.stop());
  const direct = await LibSQLStore.open(server.httpUrl);
  onTestFinished(() => direct.close());
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy.close());
  const timeoutMs = silent.has(lie) ? 400 : 20_000;
  const store = await LibSQLStore.open({ url: proxy.url, timeoutMs, migrate: false });
  onTestFinished(() => store.close());
  for (const [name, { prepare, call, lieAt = 0, isDone }] of Object.entries(operations)) {
    await emptyDatabase(direct.db);
    const { runId } = await direct.createRun({ workflowId: "w" });
    const given = { runId, direct };
    await prepare?.(given);
    proxy.lies.push(...Array.from({ length: lieAt }, () => null), lie);
    const startedAt = performance.now();
    const outcome = await call(store, given).then(
      () => null,
      (error: unknown) => error as GorkflowError,
    );
    const elapsedMs = performance.now() - startedAt;
    proxy.lies.length = 0;
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

// Most of the time is spent waiting for timeouts and retries, so the cases run together, each with its own server.
describe.concurrent("over HTTP every operation tells the truth after", () => {
  test.for(Object.keys(lies) as Lie[])("%s", async (lie, { onTestFinished }) => {
    await checkOperations(startLyingProxy, lie, onTestFinished);
  });
});

describe.concurrent("over a WebSocket every operation tells the truth after", () => {
  test.for(Object.keys(socketLies) as SocketLie[])("%s", async (lie, { onTestFinished }) => {
    await checkOperations(startLyingSocketProxy, lie, onTestFinished);
  });
});
