import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import {
  compareStores,
  exportFile,
  exportStore,
  importFile,
  importStore,
} from "../../src/transfer/index.ts";
import { test } from "../support/fixtures.ts";
import { givenRun, givenRuns } from "./support/given-runs.ts";

async function exported(count: number): Promise<string[]> {
  const store = new MemoryStore();
  await givenRuns(store, count);
  return linesOf(exportStore(store));
}

async function linesOf(lines: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

/** What an import said, and how many runs are there afterwards. */
async function imported(lines: readonly (string | Uint8Array)[]) {
  const store = new MemoryStore();
  const outcome = await importStore(store, lines).catch((error: unknown) => error);
  return { outcome, runs: (await store.stats()).rows.workflowRuns };
}

test("an export is a header, a run a line, oldest first, and a trailer", async () => {
  const [header = "", ...lines] = await exported(5);
  expect(JSON.parse(header)).toMatchObject({
    format: "gorkflow-export",
    version: 1,
    schemaVersion: expect.stringMatching(/^\d{4}_/) as string,
    columns: { outputs: ["runId", "stepId", "output", "createdAt", "updatedAt"] },
  });
  const trailer: unknown = JSON.parse(lines.pop() ?? "");
  expect(trailer).toMatchObject({ format: "gorkflow-export-end", runs: 5, corrupt: [] });
  const runs = lines.map((line) => (JSON.parse(line) as { run: { runId: string } }).run.runId);
  expect(runs).toEqual(["run-000000", "run-000001", "run-000002", "run-000003", "run-000004"]);
  expect([header, ...lines].every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);
});

test("an import restores equal runs, wherever the text is cut", async () => {
  const source = new MemoryStore();
  await givenRuns(source, 250);
  const text = (await linesOf(exportStore(source))).join("");
  const bytes = Buffer.from(text);
  for (const size of [1, 7, 1000, bytes.length]) {
    const target = new MemoryStore();
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    await importStore(target, chunks);
    expect(await compareStores(source, target)).toMatchObject({ equal: true, runs: 250 });
  }
});

test("an export without runs is complete", async () => {
  expect(await imported(await exported(0))).toMatchObject({ outcome: { written: 0 }, runs: 0 });
});

test("an import accepts Windows line endings, and a last line without one", async () => {
  const text = (await exported(3)).join("").replaceAll("\n", "\r\n").trimEnd();
  expect(await imported([text])).toMatchObject({ outcome: { written: 3 }, runs: 3 });
});

test("an export contains only runs that match the filter", async () => {
  const store = new MemoryStore();
  await givenRuns(store, 10);
  const lines = await linesOf(exportStore(store, { filter: { workflowId: "orders" } }));
  expect(lines).toHaveLength(5 + 2);
});

describe("an import", () => {
  test("fails at the first existing run, skips it, or replaces it", async () => {
    const lines = await exported(4);
    const store = new MemoryStore();
    await givenRun(store, 1);
    await store.updateRun("run-000001", { progress: 0.9 }).catch(() => undefined);
    await store.saveState("run-000001", "extra", 1);
    await expect(importStore(store, lines)).rejects.toMatchObject({
      code: "RUN_ALREADY_EXISTS",
      runId: "run-000001",
    });
    expect(await importStore(store, lines, { onConflict: "skip" })).toMatchObject({
      written: 2,
      skipped: 2,
    });
    expect(await store.loadState("run-000001", "extra")).toBe(1);
    expect(await importStore(store, lines, { onConflict: "replace" })).toMatchObject({
      written: 0,
      replaced: 4,
    });
    expect(await store.getAllState("run-000001")).toEqual({ total: 1 });
  });

  test("names the invalid line and stores the runs before it", async () => {
    const lines = await exported(150);
    const bad: [change: (line: string) => string, reason: string][] = [
      [(line) => line.slice(1), "is not JSON"],
      [() => "[]\n", "run:"],
      [() => "7\n", "is not a JSON object"],
      [(line) => line.replace('"progress":', '"advance":'), "run.progress:"],
      [(line) => line.replace(/"createdAt":"2026/, '"createdAt":"yesterday'), "run.createdAt:"],
      [(line) => line.replace('"key":"total"', '"key":""'), "state[0].key:"],
      [(line) => line.replace('"run":', '"extra":1,"run":'), "extra: is not known"],
    ];
    for (const [change, reason] of bad) {
      const broken = lines.with(130, change(lines[130] ?? ""));
      const { outcome, runs } = await imported(broken);
      expect(outcome).toMatchObject({ code: "INVALID_EXPORT", line: 131 });
      expect((outcome as Error).message).toContain(`line 131 of the export: ${reason}`);
      expect(runs).toBe(129);
    }
  });

  test("does not print the content of an invalid line", async () => {
    const lines = (await exported(1)).with(1, '{"secret": "hunter2", oops\n');
    const { outcome } = await imported(lines);
    const { message, cause } = outcome as Error;
    expect(message).not.toContain("hunter2");
    expect(cause).toBeUndefined();
  });

  test("names the line of a value that no store accepts", async () => {
    const lines = await exported(5);
    const text = JSON.stringify("x".repeat(2 * 1024 * 1024));
    const broken = lines.with(3, (lines[3] ?? "").replace(/"output":null/, `"output":${text}`));
    const { outcome, runs } = await imported(broken);
    expect(outcome).toMatchObject({ code: "INVALID_EXPORT", line: 4 });
    expect(runs).toBe(2);
  });

  test("detects a line that was changed, removed or added", async () => {
    const lines = await exported(5);
    const changed = lines.with(2, (lines[2] ?? "").replace("refunds", "repairs"));
    expect((await imported(changed)).outcome).toMatchObject({ code: "INVALID_EXPORT", line: 7 });
    expect((await imported(lines.toSpliced(2, 1))).outcome).toMatchObject({
      code: "INVALID_EXPORT",
      line: 6,
    });
    expect((await imported([...lines, lines[1] ?? ""])).outcome).toMatchObject({
      code: "INVALID_EXPORT",
      line: 8,
    });
  });

  test("detects an export that is cut off at any place", async () => {
    const lines = await exported(5);
    const text = lines.join("");
    const last = lines.at(-1) ?? "";
    const lengths = [0, 10, 100, text.length - last.length, text.length - last.length - 10];
    for (const length of lengths) {
      expect((await imported([text.slice(0, length)])).outcome).toMatchObject({
        code: "INCOMPLETE_EXPORT",
      });
    }
    expect((await imported(lines.slice(0, 3))).outcome).toMatchObject({ line: 3 });
  });

  test("refuses a text that is not an export, and a compressed one", async () => {
    for (const text of ["hello\n", "{}\n", '{"format":"other","version":1}\n']) {
      expect((await imported([text])).outcome).toMatchObject({ code: "INVALID_EXPORT", line: 1 });
    }
    const compressed = (await imported([Uint8Array.of(0x1f, 0x8b, 8, 0)])).outcome;
    expect((compressed as Error).message).toContain("gzip");
    expect((await imported([Uint8Array.of(0xff, 0xfe)])).outcome).toMatchObject({
      code: "INVALID_EXPORT",
    });
  });

  test("refuses a newer format, and columns that it does not know", async () => {
    const lines = await exported(2);
    const [header = ""] = lines;
    const newer = header.replace('"version":1', '"version":2');
    const wider = header.replace('"workflowId"', '"workflowId","priority"');
    const larger = header.replace('"columns":{', '"columns":{"signals":["runId"],');
    for (const first of [newer, wider, larger]) {
      expect(await imported(lines.with(0, first))).toMatchObject({
        outcome: { code: "EXPORT_TOO_NEW" },
        runs: 0,
      });
    }
  });

  test("accepts exports without the columns of later schemas", async () => {
    const folder = new URL("exports/", import.meta.url);
    const names = await readdir(folder);
    expect(names).not.toEqual([]);
    const expected = new MemoryStore({ clock: () => new Date(Date.UTC(2026, 0, 1)) });
    await givenRuns(expected, 6);
    for (const name of names) {
      const store = new MemoryStore();
      await importFile(store, fileURLToPath(new URL(name, folder)));
      expect(await compareStores(store, expected)).toMatchObject({ equal: true, runs: 6 });
    }
  });

  test("reports its progress, and stops when it is aborted", async () => {
    const lines = await exported(250);
    const store = new MemoryStore();
    const abort = new AbortController();
    const seen: number[] = [];
    const outcome = importStore(store, lines, {
      signal: abort.signal,
      onProgress: ({ written }) => {
        seen.push(written);
        if (written === 200) abort.abort(new Error("enough"));
      },
    });
    await expect(outcome).rejects.toThrow("enough");
    expect(seen).toEqual([100, 200]);
    expect((await store.stats()).rows.workflowRuns).toBe(200);
  });

  test("refuses unknown options", async () => {
    await expect(
      importStore(new MemoryStore(), [], { onconflict: "skip" } as object),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", argument: "options.onconflict" });
  });
});

test("an import reads from a pipe what an export writes to it", async ({ folder }) => {
  const [source, target] = [new MemoryStore(), new MemoryStore()];
  await givenRuns(source, 30);
  const pipe = join(folder.path, "pipe");
  const script = 'mkfifo "$0"';
  execFileSync("sh", ["-c", script, pipe]);
  const [report] = await Promise.all([importFile(target, pipe), exportFile(source, pipe)]);
  expect(report).toMatchObject({ written: 30 });
  expect(await compareStores(source, target)).toMatchObject({ equal: true, runs: 30 });
  expect(await readdir(folder.path)).toEqual(["pipe"]);
});

test("an export keeps its place when the process changes its folder", async ({ folder }) => {
  const store = new MemoryStore();
  await givenRuns(store, 3);
  const before = process.cwd();
  process.chdir(folder.path);
  const exporting = exportFile(store, "runs.ndjson");
  process.chdir(before);
  await exporting;
  expect(await readdir(folder.path)).toEqual(["runs.ndjson"]);
});

test("an export names unreadable runs in the trailer and in an error", async ({ folder }) => {
  const store = await LibSQLStore.open(folder.database());
  try {
    await givenRuns(store, 10);
    await store.db.run("update workflow_runs set input = '{' where run_id = 'run-000004'");
    await store.db.run("update step_outputs set output = '' where run_id = 'run-000007'");
    const lines: string[] = [];
    const outcome = await (async () => {
      for await (const line of exportStore(store)) lines.push(line);
    })().catch((error: unknown) => error);
    expect(outcome).toMatchObject({
      code: "UNREADABLE_RUNS",
      corrupt: [
        { table: "workflow_runs", key: { run_id: "run-000004" }, column: "input" },
        { table: "step_outputs", key: { run_id: "run-000007" }, column: "output" },
      ],
    });
    const target = new MemoryStore();
    expect(await importStore(target, lines)).toMatchObject({
      written: 8,
      unreadable: [
        { code: "CORRUPT_ROW", key: { run_id: "run-000004" } },
        { code: "CORRUPT_ROW", key: { run_id: "run-000007" } },
      ],
    });
    expect(await compareStores(store, target)).toMatchObject({
      equal: false,
      differing: 0,
      unreadable: { first: [{}, {}], second: [] },
    });
  } finally {
    await store.close();
  }
});
