import { rm } from "node:fs/promises";
import { describe, expect } from "vitest";
import { openStore } from "../../src/open-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import {
  compareStores,
  copyStore,
  exportFile,
  importFile,
  type CopyReport,
} from "../../src/transfer/index.ts";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { test } from "../support/fixtures.ts";
import type { Sqld } from "../support/sqld.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { givenRuns } from "./support/given-runs.ts";

let folder: TemporaryFolder;
let server: Sqld;
let program: string;
test.beforeAll(async ({ sharedFolder, server: own }) => {
  folder = sharedFolder;
  server = own;
  program = await compileProgram(`${import.meta.dirname}/programs/copier.ts`);
});

let opened = 0;
const kinds: Readonly<Record<string, () => Promise<WorkflowStore>>> = {
  memory: async () => new MemoryStore(),
  file: () => openStore(folder.database(`${opened++}.db`)),
  server: async () => {
    const store = await openStore(server.httpUrl);
    await emptyStore(store);
    return store;
  },
  "embedded replica": async () => {
    const url = folder.database(`${opened++}.db`);
    const store = await LibSQLStore.open({ url, syncUrl: server.httpUrl });
    await emptyStore(store);
    return store;
  },
};

async function emptyStore(store: WorkflowStore): Promise<void> {
  const statuses = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"] as const;
  await store.pruneRuns({ olderThan: new Date("2100-01-01"), statuses });
}

const pairs = Object.keys(kinds).flatMap((from) =>
  Object.keys(kinds)
    // The server and its replica are one database.
    .filter((to) => [from, to].filter((kind) => /server|replica/.test(kind)).length < 2)
    .map((to) => [from, to] as const),
);

describe("a copy and an import of an export are equal to their source:", () => {
  test.each(pairs)("from %s to %s", async (fromKind, toKind) => {
    const from = await (kinds[fromKind] as () => Promise<WorkflowStore>)();
    await givenRuns(from, 25);
    const to = await (kinds[toKind] as () => Promise<WorkflowStore>)();
    expect(await copyStore(from, to)).toEqual({ copied: 25, unchanged: 0 });
    expect(await compareStores(from, to)).toMatchObject({ equal: true, runs: 25 });

    await emptyStore(to);
    const path = `${folder.path}/${fromKind}-${toKind}.ndjson${opened % 2 === 0 ? ".gz" : ""}`;
    await exportFile(from, path);
    expect(await importFile(to, path)).toMatchObject({ written: 25 });
    expect(await compareStores(from, to)).toMatchObject({ equal: true, runs: 25 });
    await from.close();
    await to.close();
  });
});

describe("a copy that is resumed", () => {
  test("copies what is missing or has changed, and leaves the rest", async () => {
    const [from, to] = [new MemoryStore(), new MemoryStore()];
    await givenRuns(from, 250);
    await copyStore(from, to, { filter: { createdBefore: new Date(Date.UTC(2026, 0, 1, 0, 1)) } });
    await to.deleteRun("run-000004");
    await from.reopenRun("run-000006");
    await to.createRun({ runId: "of the target", workflowId: "w" });
    const seen: number[] = [];
    const report = await copyStore(from, to, {
      resume: true,
      onProgress: ({ copied, unchanged }) => seen.push(copied + unchanged),
    });
    expect(report.copied + report.unchanged).toBe(250);
    // 180 were copied before. One of them was deleted in the target, and one was reopened.
    expect(report.unchanged).toBe(178);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(await compareStores(from, to)).toMatchObject({
      differing: 1,
      differences: [{ runId: "of the target", kind: "missing in the first" }],
    });
  });

  test("with a comparison also copies what was written after a run ended", async () => {
    const [from, to] = [new MemoryStore(), new MemoryStore()];
    await givenRuns(from, 250);
    await copyStore(from, to);
    // All of them are finished.
    await from.saveState("run-000000", "late", 1);
    await from.saveStepOutput("run-000001", "late", [1]);
    await from.deleteState("run-000004", "total");
    await to.deleteState("run-000008", "total");
    await to.deleteRun("run-000006");
    await copyStore(from, to, { resume: true });
    expect(await compareStores(from, to)).toMatchObject({ differing: 4 });
    const seen: number[] = [];
    const report = await copyStore(from, to, {
      resume: "compare",
      onProgress: ({ copied, unchanged }) => seen.push(copied + unchanged),
    });
    expect(report).toEqual({ copied: 3, unchanged: 247 });
    expect(seen.at(-1)).toBe(250);
    // What was deleted in the target alone is newer there, and kept.
    expect(await compareStores(from, to)).toMatchObject({
      differences: [{ runId: "run-000008" }],
      runs: 250,
    });
    expect(await copyStore(from, to, { resume: "compare" })).toEqual({ copied: 0, unchanged: 250 });
  });

  test("is required if a run exists already", async () => {
    const [from, to] = [new MemoryStore(), new MemoryStore()];
    await givenRuns(from, 5);
    await copyStore(from, to);
    await expect(copyStore(from, to)).rejects.toMatchObject({ code: "RUN_ALREADY_EXISTS" });
  });

  test("replaces what cannot be read in the target", async () => {
    const from = new MemoryStore();
    await givenRuns(from, 10);
    const to = await LibSQLStore.open(folder.database("corrupt.db"));
    await copyStore(from, to);
    for (const resume of [true, "compare"] as const) {
      await to.db.run("update workflow_runs set tags = '{' where run_id = 'run-000001'");
      await copyStore(from, to, { resume });
      expect(await compareStores(from, to)).toMatchObject({ equal: true });
    }
    await to.close();
  });
});

test("a copy names unreadable runs at the end, after all others were copied", async () => {
  const from = await LibSQLStore.open(folder.database("unreadable.db"));
  await givenRuns(from, 250);
  await from.db.run("update workflow_runs set output = '{' where run_id = 'run-000011'");
  await from.db.run("update workflow_runs set tags = '{' where run_id = 'run-000123'");
  const unreadable = {
    code: "UNREADABLE_RUNS",
    corrupt: [{ key: { run_id: "run-000011" } }, { key: { run_id: "run-000123" } }],
  };
  const to = new MemoryStore();
  await expect(copyStore(from, to)).rejects.toMatchObject(unreadable);
  expect((await to.stats()).rows.workflowRuns).toBe(248);
  await expect(copyStore(from, to, { resume: true })).rejects.toMatchObject({
    code: "UNREADABLE_RUNS",
    corrupt: expect.arrayContaining([
      expect.objectContaining({ key: { run_id: "run-000011" } }),
      expect.objectContaining({ key: { run_id: "run-000123" } }),
    ]) as unknown,
  });
  await from.close();
});

interface Said {
  readonly copied?: number;
  readonly report?: CopyReport;
  readonly ms?: number;
  readonly peakBytes?: number;
}

const kills = Number(process.env["COPY_KILLS"] ?? 8);

describe("a copy that is killed at random points and resumed", () => {
  test.each(["file", "server"])("holds the same at the end: to a %s", async (kind) => {
    const fromUrl = folder.database(`killed-${kind}.db`);
    await makeBulkRuns(fromUrl, 2000);
    const toUrl = kind === "server" ? server.httpUrl : folder.database("killed-target.db");
    const to = await openStore(toUrl);
    await emptyStore(to);
    let killed = 0;
    for (let round = 0; round < kills / 2; round++) {
      const copier = startProgram<Said>(program, [fromUrl, toUrl]);
      await copier.message(({ copied }) => (copied ?? 0) > 0);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 150));
      await copier.kill();
      if (!copier.messages.some(({ report }) => report !== undefined)) killed++;
    }
    expect(killed).toBeGreaterThan(0);
    const last = startProgram<Said>(program, [fromUrl, toUrl]);
    const { report } = await last.message((said) => said.report !== undefined);
    await last.ended;
    expect((report?.copied ?? 0) + (report?.unchanged ?? 0)).toBe(2000);
    expect(report?.unchanged).toBeGreaterThan(0);
    const from = await openStore(fromUrl);
    expect(await compareStores(from, to)).toMatchObject({ equal: true, runs: 2000 });
    await from.close();
    await to.close();
  });
});

const copiedRuns = Number(process.env["COPIED_RUNS"] ?? 5000);

test(`a process that copies ${copiedRuns} runs of four steps stays below 200 MB`, async () => {
  const [fromUrl, toUrl] = [folder.database("many.db"), folder.database("many-target.db")];
  await makeBulkRuns(fromUrl, copiedRuns);
  const copier = startProgram<Said>(program, [fromUrl, toUrl]);
  const said = await copier.message(({ report }) => report !== undefined);
  await copier.ended;
  expect(said.report).toEqual({ copied: copiedRuns, unchanged: 0 });
  expect(said.peakBytes).toBeLessThan(200 * 1024 * 1024);
  const rate = Math.round(copiedRuns / ((said.ms ?? 0) / 1000));
  const peakMiB = Math.round((said.peakBytes ?? 0) / 1024 / 1024);
  console.info(`${copiedRuns} runs copied: ${rate} runs/s, peak ${peakMiB} MiB`);
  await rm(`${folder.path}/many.db`);
}, 600_000);
