import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StoreConnectionError } from "../../../src/errors.ts";
import type { WorkflowRun } from "../../../src/schema/rows.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";

/** How often the server is killed, and by how many it is written to meanwhile. */
const kills = Number(process.env["SERVER_KILLS"] ?? 6);
const writers = 50;

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

test("a server that is killed at random points loses no write that was acknowledged, and doubles none", async () => {
  const urls = [server.httpUrl, server.webSocketUrl, server.httpUrl, server.webSocketUrl];
  const stores = await Promise.all(urls.map((url) => LibSQLStore.open(url)));
  const acknowledged = { alone: [] as string[], chosen: [] as string[], pairs: [] as string[] };
  const undecided: string[] = [];
  const unexpected: unknown[] = [];
  let isOver = false;

  async function keepWriting(writer: number): Promise<void> {
    const store = stores[writer % stores.length] as LibSQLStore;
    for (let n = 0; !isOver; n++) {
      const id = `${writer}-${n}`;
      const kind = (["alone", "chosen", "pairs"] as const)[n % 3] ?? "alone";
      try {
        if (kind === "alone") await store.createRun({ workflowId: kind, resourceId: id });
        else if (kind === "chosen") await store.createRun({ runId: id, workflowId: kind });
        else {
          await store.batch((write) => {
            write.createRun({ runId: id, workflowId: kind });
            write.saveState(id, "half", 1);
          });
        }
        acknowledged[kind].push(id);
      } catch (error) {
        if (error instanceof StoreConnectionError && error.outcome === "unknown") {
          undecided.push(id);
        } else if (!(error instanceof StoreConnectionError && error.retryable)) {
          unexpected.push(error);
        }
      }
    }
  }

  const writing = Array.from({ length: writers }, (_, writer) => keepWriting(writer));
  for (let kill = 0; kill < kills; kill++) {
    await sleep(20 + Math.random() * 130);
    await server.kill();
    await sleep(Math.random() * 50);
    await server.restart();
  }
  await sleep(100);
  isOver = true;
  await Promise.all(writing);

  const [reader] = stores as [LibSQLStore, ...LibSQLStore[]];
  const runs: Pick<WorkflowRun, "runId" | "workflowId" | "resourceId">[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await reader.listRuns({ limit: 1000, cursor: cursor ?? undefined });
    runs.push(...page.runs);
    cursor = page.nextCursor;
  }
  const idsOf = (kind: string) => runs.filter(({ workflowId }) => workflowId === kind);
  const alone = idsOf("alone").map(({ resourceId }) => String(resourceId));
  const chosen = idsOf("chosen").map(({ runId }) => runId);
  const pairs = idsOf("pairs").map(({ runId }) => runId);
  const halves: number[] = [];
  for (const runId of pairs) halves.push(Object.keys(await reader.getAllState(runId)).length);

  const total = Object.values(acknowledged).flat().length;
  const found = new Set([...alone, ...chosen, ...pairs]);
  console.info(
    `${kills} kills under ${writers} writers: ${total} writes acknowledged, ` +
      `${
        Object.values(acknowledged)
          .flat()
          .filter((id) => !found.has(id)).length
      } of them lost, ` +
      `${alone.length - new Set(alone).size} doubled, ${undecided.length} undecided`,
  );
  expect(unexpected).toEqual([]);
  expect(total).toBeGreaterThan(kills);
  expect(acknowledged.alone.filter((id) => !alone.includes(id))).toEqual([]);
  expect(acknowledged.chosen.filter((id) => !chosen.includes(id))).toEqual([]);
  expect(acknowledged.pairs.filter((id) => !pairs.includes(id))).toEqual([]);
  expect(alone).toHaveLength(new Set(alone).size);
  // What was neither acknowledged nor undecided is not there.
  const known = new Set([...Object.values(acknowledged).flat(), ...undecided]);
  expect([...found].filter((id) => !known.has(id))).toEqual([]);
  expect(halves.filter((count) => count !== 1)).toEqual([]);
  await Promise.all(stores.map((store) => store.close()));
}, 480_000);
