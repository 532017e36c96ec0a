import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrate } from "../../../src/migrations/migrate.ts";
import { pageBytes } from "../../../src/model/run-queries.ts";
import type { WorkflowRun } from "../../../src/schema/rows.ts";
import type { RunStatus } from "../../../src/statuses.ts";
import { LibSQLStore, type HostDatabase } from "../../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../../src/stores/memory/memory-store.ts";
import type { RunPage } from "../../../src/store/runs.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import { copyStore } from "../../../src/transfer/copy-store.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

const MiB = 1024 * 1024;

let folder: TemporaryFolder;
let server: Sqld;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startSqld();
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

async function openHost(): Promise<LibSQLStore<HostDatabase>> {
  const db = drizzle({ client: createClient({ url: folder.database("host.db") }) });
  await migrate(db);
  return new LibSQLStore(db);
}

const backends: Readonly<Record<string, () => Promise<WorkflowStore>>> = {
  memory: async () => new MemoryStore(),
  "a file": () => LibSQLStore.open(folder.database("own.db")),
  "a database in memory": () => LibSQLStore.open(":memory:"),
  "a file of @libsql/client": openHost,
  "a server over HTTP": () => LibSQLStore.open(server.httpUrl),
  "a server over WebSocket": () => LibSQLStore.open(server.webSocketUrl),
};

/** A string of this many bytes of JSON, which is twice as long once it is quoted for the way to a server and back. */
const quotes = (bytes: number): string => '"'.repeat(bytes / 2 - 1);
/** Over WebSocket a server takes no message of 8 MB. */
const plain = (bytes: number): string => "x".repeat(bytes - 2);

describe.each(Object.entries(backends))("on %s", (name, open) => {
  const text = name === "a server over WebSocket" ? plain : quotes;
  let store: WorkflowStore;
  beforeAll(async () => {
    store = await open();
    await store.deleteRun("large");
    for (let n = 0; n < 8; n++) await store.deleteRun(`list-${n}`);
    const large = {
      input: text(2 * MiB),
      output: text(2 * MiB),
      error: text(MiB / 8),
      context: text(MiB / 8),
      tags: { note: "x".repeat(100_000) },
    };
    await store.createRun({
      runId: "large",
      workflowId: "large",
      createdAt: new Date(1),
      ...large,
    });
    for (let n = 0; n < 3; n++) {
      await store.createStepExecution({
        runId: "large",
        stepId: `step-${n}`,
        executionIndex: n,
        input: text(2 * MiB),
      });
      await store.saveStepOutput("large", `step-${n}`, text(4 * MiB));
      await store.saveState("large", `key-${n}`, text(4 * MiB));
      const attempt = { runId: "large", stepId: `step-${n}`, attempt: 1 } as const;
      await store.saveStepAttempt({ ...attempt, status: "FAILED", error: { code: n } });
    }
    for (let n = 0; n < 8; n++) {
      const createdAt = new Date(2 + n);
      const input = "x".repeat(1.9 * MiB);
      await store.createRun({ runId: `list-${n}`, workflowId: "list", createdAt, input });
    }
  }, 120_000);
  afterAll(() => store.close());

  test("a run of 34 MB of legal values is read whole, and its parts are", async () => {
    const { bundles, corrupt } = await store.readBundles({ runIds: ["large"] });
    expect(corrupt).toEqual([]);
    const [bundle] = bundles;
    expect(bundle?.run).toEqual(await store.getRun("large"));
    expect(bundle?.steps).toHaveLength(3);
    expect(bundle?.attempts.map(({ error }) => error)).toEqual([0, 1, 2].map((code) => ({ code })));
    expect(bundle?.outputs.map(({ output }) => (output as string).length)).toEqual(
      Array.from({ length: 3 }, () => text(4 * MiB).length),
    );
    expect(bundle?.state.map(({ key }) => key)).toEqual(["key-0", "key-1", "key-2"]);
    expect(Object.keys(await store.getAllState("large"))).toHaveLength(3);
    expect(await store.listStepExecutions("large")).toHaveLength(3);
    expect(await store.listStepAttempts("large")).toHaveLength(3);
  }, 60_000);

  test("a list with payloads sends a page's bytes at a time", async () => {
    const ids: string[] = [];
    const sizes: number[] = [];
    let cursor: string | null = null;
    do {
      const page: RunPage<WorkflowRun> = await store.listRuns({
        workflowId: "list",
        payloads: true,
        cursor,
      });
      sizes.push(page.runs.reduce((sum, { input }) => sum + (input as string).length + 2, 0));
      for (const { runId } of page.runs) ids.push(runId);
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(ids).toEqual([7, 6, 5, 4, 3, 2, 1, 0].map((n) => `list-${n}`));
    expect(sizes.every((size) => size <= pageBytes)).toBe(true);
  }, 60_000);

  test("a copy carries the large run and the others", async () => {
    const copy = new MemoryStore();
    expect(await copyStore(store, copy)).toMatchObject({ copied: 9 });
    expect(await copy.countRuns()).toEqual(await store.countRuns());
  }, 60_000);
});

test("a page of runs with long errors takes two reads, and so does a claim", async () => {
  const store = await LibSQLStore.open(folder.database("errors.db"));
  const failed = { status: "FAILED" as RunStatus, error: { message: "e".repeat(1600) } };
  await Promise.all(
    Array.from({ length: 500 }, () => store.createRun({ workflowId: "w", ...failed })),
  );
  const tags = { note: "n".repeat(1600) };
  await Promise.all(
    Array.from({ length: 100 }, () => store.createRun({ workflowId: "claimed", tags })),
  );
  const client = store.db.$client as unknown as { read(...args: unknown[]): Promise<unknown> };
  const read = client.read.bind(client);
  let reads = 0;
  client.read = (...args) => {
    reads += 1;
    return read(...args);
  };
  const { runs, nextCursor } = await store.listRuns({ status: "FAILED", limit: 500 });
  expect([runs.length, nextCursor, reads]).toEqual([500, null, 2]);
  expect(runs.every(({ error }) => (error as typeof failed.error).message.length === 1600)).toBe(
    true,
  );
  reads = 0;
  const claimed = await store.claimRuns({ workerId: "w", leaseMs: 60_000, limit: 100 });
  expect([claimed.length, reads]).toEqual([100, 1]);
  expect(claimed.every((run) => run.tags?.["note"]?.length === 1600)).toBe(true);
  await store.close();
});
