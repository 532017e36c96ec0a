import { execFile } from "node:child_process";
import { constants } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { expect } from "vitest";
import type { UnreadableRunsError } from "../../src/errors.ts";
import { parseJson } from "../../src/json.ts";
import type { RunBundle } from "../../src/model/bundles.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { decodeBundle, encodeBundle, parseLine } from "../../src/transfer/export/export-format.ts";
import {
  compareStores,
  copyStore,
  exportFile,
  exportStore,
  importFile,
  importStore,
  MirroredStore,
} from "../../src/transfer/index.ts";
import { linesOf, readExport } from "../../src/transfer/export/read-export.ts";
import { endlessProgress } from "../support/endless-progress.ts";
import { test } from "../support/fixtures.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { faultyStore } from "./support/faulty-store.ts";
import { givenRun, givenRuns, passKey } from "./support/given-runs.ts";

let folder: TemporaryFolder;
test.beforeAll(({ sharedFolder }) => {
  folder = sharedFolder;
});

let opened = 0;
const file = () => LibSQLStore.open(folder.database(`${opened++}.db`));

async function exported(store: WorkflowStore): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportStore(store)) lines.push(line);
  return lines;
}

/** A store whose pages come only when `release` is called. */
function waitingStore(store: WorkflowStore) {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const waiting = new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name !== "readBundles") return member;
      return async (query: Parameters<WorkflowStore["readBundles"]>[0]) => {
        await released;
        return target.readBundles(query);
      };
    },
  });
  return { waiting, release };
}

test("concurrent exports to one file do not mix, and the last one to finish wins", async () => {
  const [few, many] = [new MemoryStore(), new MemoryStore()];
  await givenRuns(few, 3);
  await givenRuns(many, 300);
  const path = `${folder.path}/both.ndjson`;
  const { waiting, release } = waitingStore(many);
  const slow = exportFile(waiting, path);
  await exportFile(few, path);
  expect((await readFile(path, "utf8")).split("\n")).toHaveLength(3 + 3);
  release();
  await slow;
  const target = new MemoryStore();
  expect(await importFile(target, path)).toMatchObject({ written: 300 });
  const names = await readdir(folder.path);
  expect(names.filter((name) => name.includes("partial"))).toEqual([]);
});

test("an export removes the partial files of killed exports to the same file, and no others", async () => {
  const names = {
    abandoned: "nightly.ndjson.0198c0de-0000-7000-8000-000000000000.partial",
    active: "nightly.ndjson.0198c0de-0000-7000-8000-000000000001.partial",
    other: "other.ndjson.0198c0de-0000-7000-8000-000000000000.partial",
    mine: "nightly.ndjson.mine.partial",
  };
  for (const name of Object.values(names)) {
    const path = `${folder.path}/${name}`;
    await writeFile(path, "cut off");
    const written = new Date(Date.now() - (name === names.active ? 60_000 : 2 * 3_600_000));
    await utimes(path, written, written);
  }
  await exportFile(new MemoryStore(), `${folder.path}/nightly.ndjson`);
  const left = (await readdir(folder.path)).filter((name) => name.endsWith(".partial"));
  expect(left.toSorted()).toEqual([names.active, names.mine, names.other].toSorted());
  for (const name of left) await rm(`${folder.path}/${name}`);
});

test("an export keeps the permissions of the file that it replaces, and a symbolic link", async () => {
  const store = new MemoryStore();
  await givenRuns(store, 3);
  const [path, link] = [`${folder.path}/secret.ndjson`, `${folder.path}/latest.ndjson`];
  await writeFile(path, "old");
  await chmod(path, 0o600);
  await symlink("secret.ndjson", link);
  await exportFile(store, link);
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await importFile(new MemoryStore(), path)).toMatchObject({ written: 3 });
  const dangling = `${folder.path}/dangling.ndjson`;
  await symlink("new.ndjson", dangling);
  await exportFile(store, dangling);
  expect((await lstat(`${folder.path}/new.ndjson`)).isFile()).toBe(true);
  await exportFile(store, "/dev/null");
  await mkdir(`${folder.path}/real/deep`, { recursive: true });
  await symlink("real/deep", `${folder.path}/short`);
  await symlink("../backup.ndjson", `${folder.path}/short/latest.ndjson`);
  await exportFile(store, `${folder.path}/short/latest.ndjson`);
  expect((await lstat(`${folder.path}/real/backup.ndjson`)).isFile()).toBe(true);
});

test("an export replaces neither a database nor its log", async () => {
  const database = folder.database(`${opened++}.db`);
  const store = await LibSQLStore.open(database);
  await givenRuns(store, 3);
  const path = database.replace(/^file:/, "");
  for (const name of [path, `${path}-wal`, `${path}-shm`, `${path}-journal`]) {
    await expect(exportFile(store, name)).rejects.toMatchObject({ code: "EXPORT_FILE" });
  }
  await store.close();
  const again = await LibSQLStore.open(database);
  expect((await again.stats()).rows.workflowRuns).toBe(3);
  await again.close();
});

test("an export to a pipe that nobody reads ends when it is aborted", async () => {
  const path = `${folder.path}/unread`;
  await promisify(execFile)("mkfifo", [path]);
  const abort = new AbortController();
  const exporting = exportFile(new MemoryStore(), path, { signal: abort.signal });
  setTimeout(() => abort.abort(new Error("enough")), 20);
  await expect(exporting).rejects.toThrow("enough");
  // Ends the thread that waits for a reader.
  await (await open(path, constants.O_RDWR)).close();
});

test("a path that no file has is an invalid argument", async () => {
  const store = new MemoryStore();
  for (const path of ["", "a\0b", undefined as unknown as string]) {
    const refused = { code: "INVALID_ARGUMENT", argument: "path" };
    await expect(exportFile(store, path)).rejects.toMatchObject(refused);
    await expect(importFile(store, path)).rejects.toMatchObject(refused);
  }
});

test("an argument of the wrong kind is refused by its name", async () => {
  const store = new MemoryStore();
  const path = `${folder.path}/refused.ndjson`;
  for (const bad of [42, null, undefined, "store", {}] as never[]) {
    const calls: [argument: string, call: () => unknown][] = [
      ["store", () => exported(bad)],
      ["store", () => exportFile(bad, path)],
      ["store", () => importStore(bad, [])],
      ["from", () => copyStore(bad, store)],
      ["to", () => copyStore(store, bad)],
      ["first", () => compareStores(bad, store)],
      ["second", () => compareStores(store, bad)],
      ["primary", () => new MirroredStore(bad, store)],
      ["secondary", () => new MirroredStore(store, bad)],
      ["records", () => importStore(store, bad === "store" ? ([42] as never) : bad)],
      ["options.signal", () => exportFile(store, path, { signal: bad ?? 42 })],
      ["options.signal", () => importFile(store, path, { signal: bad ?? 42 })],
    ];
    for (const [argument, call] of calls) {
      const refused = { code: "INVALID_ARGUMENT", argument };
      await expect(async () => call()).rejects.toMatchObject(refused);
    }
  }
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("an error of `onProgress` ends the call, also of an asynchronous one", async () => {
  const store = new MemoryStore();
  await givenRuns(store, 3);
  const lines = await exported(store);
  const onProgress = async () => Promise.reject(new Error("no more"));
  const calls = [
    () => copyStore(store, new MemoryStore(), { onProgress }),
    () => copyStore(store, new MemoryStore(), { onProgress, resume: true }),
    () => compareStores(store, new MemoryStore(), { onProgress }),
    () => exportFile(store, `${folder.path}/no-more.ndjson`, { onProgress }),
    () => importStore(new MemoryStore(), lines, { onProgress }),
  ];
  for (const call of calls) await expect(call()).rejects.toThrow("no more");
});

type Endless = ReturnType<typeof endlessProgress>;

test("an abort ends a call whose `onProgress` never ends", async () => {
  const store = new MemoryStore();
  await givenRuns(store, 3);
  const lines = await exported(store);
  const calls = [
    (options: Endless) => copyStore(store, new MemoryStore(), options),
    (options: Endless) => copyStore(store, new MemoryStore(), { ...options, resume: true }),
    (options: Endless) => compareStores(store, new MemoryStore(), options),
    (options: Endless) => Readable.from(exportStore(store, options)).toArray(),
    (options: Endless) => exportFile(store, `${folder.path}/never.ndjson`, options),
    (options: Endless) => importStore(new MemoryStore(), lines, options),
  ];
  for (const call of calls) await expect(call(endlessProgress())).rejects.toThrow("enough");
});

test("an import of a file with a value that cannot be stored changes nothing", async () => {
  const store = new MemoryStore();
  await givenRuns(store, 160);
  const lines = await exported(store);
  const deep = `${"[".repeat(1001)}${"]".repeat(1001)}`;
  for (const value of ["-0", "1e999", deep, "9007199254740993", "-0.0", "1e-400"]) {
    const bad = (lines[149] ?? "").replace('"n":148', `"n":${value}`);
    expect(bad).not.toBe(lines[149]);
    const path = `${folder.path}/bad.ndjson`;
    await writeFile(path, lines.with(149, bad).join(""));
    const target = new MemoryStore();
    await expect(importFile(target, path)).rejects.toMatchObject({
      code: "INVALID_EXPORT",
      line: 150,
    });
    expect((await target.stats()).rows.workflowRuns).toBe(0);
  }
});

test("an import ends when it is aborted while it waits for its source", async () => {
  const abort = new AbortController();
  async function* silent(): AsyncGenerator<string> {
    yield "";
    await new Promise(() => undefined);
  }
  const importing = importStore(new MemoryStore(), silent(), { signal: abort.signal });
  setTimeout(() => abort.abort(new Error("enough")), 5);
  await expect(importing).rejects.toThrow("enough");
});

test("times that are not ISO 8601 with a zone are refused by name", async () => {
  const store = new MemoryStore();
  await givenRun(store, 0);
  await store.updateRun("run-000000", { tags: null }).catch(() => undefined);
  const lines = await exported(store);
  for (const time of ["5", "2020-01-01 00:00", "2020-01-01", "2020-02-31T00:00:00Z", "1e3"]) {
    const line = (lines[1] ?? "").replace(/"createdAt":"[^"]*"/, `"createdAt":"${time}"`);
    const outcome = importStore(new MemoryStore(), lines.with(1, line));
    await expect(outcome).rejects.toThrow(/line 2 of the export: run.createdAt/);
  }
  const line = (lines[1] ?? "").replace(
    /"createdAt":"[^"]*"/,
    '"createdAt":"2020-01-01T02:00:00+02:00"',
  );
  for await (const { bundle } of readExport([lines[0] ?? "", line])) {
    expect(bundle.run.createdAt).toEqual(new Date("2020-01-01T00:00:00Z"));
    break;
  }
});

test("the checksum covers the trailer's list of unreadable runs", async () => {
  const store = await file();
  await givenRuns(store, 5);
  await store.db.run("update workflow_runs set input = '{' where run_id = 'run-000002'");
  const lines: string[] = [];
  const reading = async () => {
    for await (const line of exportStore(store)) lines.push(line);
  };
  await expect(reading()).rejects.toMatchObject({ code: "UNREADABLE_RUNS" });
  expect(await importStore(new MemoryStore(), lines)).toMatchObject({ written: 4 });
  const last = lines.at(-1) ?? "";
  for (const changed of [
    last.replace("run-000002", "run-000003"),
    last.replace(/"corrupt":\[.*?\]/, '"corrupt":[]'),
  ]) {
    expect(changed).not.toBe(last);
    await expect(
      importStore(new MemoryStore(), [...lines.slice(0, -1), changed]),
    ).rejects.toMatchObject({ code: "INVALID_EXPORT" });
  }
  await store.close();
});

test("a transfer names values beyond our limits that SQL stored, and includes all other runs", async () => {
  const store = await file();
  await givenRuns(store, 50);
  await store.db.run("update workflow_runs set input = '[1e999]' where run_id = 'run-000003'");
  await store.db.run("update step_outputs set output = '[-0]' where run_id = 'run-000005'");
  await store.db.run(
    "update workflow_state set value = '{\"id\": 9007199254740993}' where run_id = 'run-000006'",
  );
  await store.db.run(
    `update workflow_runs set input = '"${"x".repeat(3 * 1024 * 1024)}"' where run_id = 'run-000008'`,
  );
  const lines: string[] = [];
  const reading = async () => {
    for await (const line of exportStore(store)) lines.push(line);
  };
  const named = ["run-000003", "run-000005", "run-000006", "run-000008"];
  const error: unknown = await reading().catch((failure: unknown) => failure);
  expect(error).toMatchObject({ code: "UNREADABLE_RUNS" });
  const { corrupt } = error as { corrupt: { key: { run_id: string } }[] };
  expect(corrupt.map(({ key }) => key.run_id).toSorted()).toEqual(named);
  expect(await importStore(new MemoryStore(), lines)).toMatchObject({ written: 46 });

  const target = new MemoryStore();
  await expect(copyStore(store, target)).rejects.toMatchObject({
    code: "REFUSED_RUNS",
    refused: [{ runId: "run-000008", error: { code: "INVALID_VALUE" } }],
    corrupt: [{}, {}, {}],
  });
  expect((await target.stats()).rows.workflowRuns).toBe(46);
  await store.close();
});

test("ids and counters beyond our limits that SQL stored are named, and all other runs are included", async () => {
  const store = await file();
  for (const runId of ["a", "b", "c", "d"]) await store.createRun({ runId, workflowId: "w" });
  const long = "x".repeat(300);
  await store.db.run("update workflow_runs set run_id = '' where run_id = 'a'");
  await store.db.run(`update workflow_runs set run_id = '${long}' where run_id = 'b'`);
  await store.db.run("update workflow_runs set workflow_id = '', revision = -1 where run_id = 'c'");
  const lines: string[] = [];
  const reading = async () => {
    for await (const line of exportStore(store)) lines.push(line);
  };
  const error: unknown = await reading().catch((failure: unknown) => failure);
  const { corrupt } = error as UnreadableRunsError;
  expect(new Set(corrupt.map(({ key }) => key["run_id"]))).toEqual(new Set(["", "c", long]));
  expect(await importStore(new MemoryStore(), lines)).toMatchObject({ written: 1 });

  const target = new MemoryStore();
  await expect(copyStore(store, target, { resume: true })).rejects.toMatchObject({
    code: "REFUSED_RUNS",
    refused: [{ runId: "c" }],
    corrupt: [{}, {}],
  });
  expect(await compareStores(store, target)).toMatchObject({
    runs: 2,
    differing: 1,
    unreadable: { first: [{}, {}] },
  });
  await store.close();
});

test("numbers are kept exactly, or refused", () => {
  for (const text of [
    "1",
    "0",
    "[0.1, 1e3, 0.0]",
    '{"a":"-0 9007199254740993"}',
    "9007199254740992",
  ]) {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  }
  for (const text of ["-0", "[1,-0.0]", '{"a": 1e999}', "[9007199254740993]", "1e-999", "{"]) {
    expect(parseJson(text)).toBeUndefined();
  }
});

test("a run that is too long for one line is written to several, and reads back equal", async () => {
  const store = new MemoryStore();
  await givenRun(store, 11);
  const [bundle] = (await store.readBundles()).bundles as [RunBundle];
  expect(encodeBundle(bundle)).toHaveLength(1);
  expect(decodeBundle(parseLine(encodeBundle(bundle)[0] ?? "", 2), 2)).toEqual(bundle);
  const lines = encodeBundle(bundle, 300);
  expect(lines.length).toBeGreaterThan(3);
  const [header = ""] = await exported(new MemoryStore());
  const found: unknown[] = [];
  const reading = async () => {
    const all = [header, ...lines.map((line) => `${line}\n`), ...lines.map((line) => `${line}\n`)];
    for await (const { bundle: each, line } of readExport(all)) found.push(each, line);
  };
  await expect(reading()).rejects.toMatchObject({ code: "INCOMPLETE_EXPORT" });
  expect(found).toEqual([bundle, 2, bundle, 2 + lines.length]);
});

test("a long line in small chunks is read in linear time", async () => {
  const chunks = Array.from({ length: 40_000 }, () => "x".repeat(1000));
  const begun = performance.now();
  let length = 0;
  for await (const { text } of linesOf(chunks)) length += text.length;
  expect(length).toBe(40_000_000);
  expect(performance.now() - begun).toBeLessThan(5000);
});

test("a resumed copy sets aside a run whose idempotency key another run has", async () => {
  for (const to of [new MemoryStore(), await file()]) {
    const from = new MemoryStore();
    const daily = { workflowId: "w", idempotencyKey: "today" };
    await from.createRun({ ...daily, runId: "r1" });
    await copyStore(from, to);
    await from.deleteRun("r1");
    await from.createRun({ ...daily, runId: "r2" });
    await givenRuns(from, 150);
    for (const resume of [true, "compare"] as const) {
      await expect(copyStore(from, to, { resume })).rejects.toMatchObject({
        code: "REFUSED_RUNS",
        message: expect.stringContaining("run r1 has the same idempotency key, today") as string,
        refused: [{ runId: "r2", error: { code: "RUN_ALREADY_EXISTS", heldBy: "r1" } }],
      });
      expect((await to.stats()).rows.workflowRuns).toBe(151);
    }
    await to.close();
  }
});

test("a resumed copy accepts that a key has passed to a newer run", async () => {
  for (const resume of [true, "compare"] as const) {
    const [from, to] = [new MemoryStore(), await file()];
    await passKey(from, () => copyStore(from, to));
    expect(await copyStore(from, to, { resume })).toEqual({ copied: 152, unchanged: 0 });
    expect((await compareStores(from, to)).equal).toBe(true);
    await to.close();
  }
});

test("a copy sets aside runs that a constraint of the target's app refuses", async () => {
  const [from, to] = [new MemoryStore(), await file()];
  await givenRuns(from, 120);
  await to.db.run(
    "create trigger no before insert on workflow_runs when new.run_id = 'run-000003' begin select raise(abort, 'no'); end",
  );
  const lines = await exported(from);
  await expect(copyStore(from, to)).rejects.toMatchObject({
    code: "REFUSED_RUNS",
    refused: [{ runId: "run-000003" }],
  });
  expect((await to.stats()).rows.workflowRuns).toBe(119);
  await to.pruneRuns({
    olderThan: new Date("2100-01-01"),
    statuses: ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"],
  });
  await expect(importStore(to, lines)).rejects.toMatchObject({
    code: "REFUSED_RUNS",
    refused: [{ runId: "run-000003" }],
  });
  expect((await to.stats()).rows.workflowRuns).toBe(119);
  await to.close();
});

test("an import counts each run once if a later group of runs is refused", async () => {
  const [from, to] = [new MemoryStore(), await file()];
  // Each group has up to 500 statements.
  await givenRuns(from, 90);
  await from.createRun({ runId: "run-000089-refused", workflowId: "w" });
  await to.db.run(
    "create trigger no before insert on workflow_runs when new.run_id = 'run-000089-refused' begin select raise(abort, 'no'); end",
  );
  const lines = await exported(from);
  for (const [onConflict, counts] of [
    ["skip", { written: 90, skipped: 0, replaced: 0 }],
    ["replace", { written: 0, skipped: 0, replaced: 90 }],
  ] as const) {
    const progress: unknown[] = [];
    const options = { onConflict, onProgress: (report: unknown) => progress.push(report) };
    await expect(importStore(to, lines, options)).rejects.toMatchObject({
      code: "REFUSED_RUNS",
      refused: [{ runId: "run-000089-refused" }],
    });
    expect(progress.at(-1)).toEqual(counts);
  }
  await to.close();
});

test("a copy and an import keep what the target has in a newer revision", async () => {
  for (const to of [new MemoryStore(), await file()]) {
    const from = new MemoryStore();
    const run = { runId: "a", workflowId: "w", createdAt: new Date(0) };
    await from.createRun(run);
    const lines = await exported(from);
    await copyStore(from, to);
    await to.updateRun("a", { progress: 0.5 });
    expect(await copyStore(from, to, { resume: true })).toEqual({ copied: 0, unchanged: 1 });
    expect(await copyStore(from, to, { resume: "compare" })).toEqual({ copied: 0, unchanged: 1 });
    const options = { onConflict: "replace", keepNewer: true } as const;
    expect(await importStore(to, lines, options)).toMatchObject({ skipped: 1 });
    expect(await to.getRun("a")).toMatchObject({ progress: 0.5 });
    expect(await importStore(to, lines, { onConflict: "replace" })).toMatchObject({ replaced: 1 });
    expect(await to.getRun("a")).toMatchObject({ progress: 0 });
    await to.close();
  }
});

test("a comparison finds a run by its id, although its position or the filter differs", async () => {
  const [a, b] = [new MemoryStore(), new MemoryStore()];
  await givenRuns(a, 5);
  await copyStore(a, b);
  const moved = { runId: "moved", workflowId: "w", updatedAt: new Date(9) };
  await a.createRun({ ...moved, createdAt: new Date(0) });
  await b.createRun({ ...moved, createdAt: new Date(1) });
  await a.createRun({ runId: "status", workflowId: "w", createdAt: new Date(5) });
  await b.createRun({ runId: "status", workflowId: "w", createdAt: new Date(5), status: "FAILED" });
  const kind = "differs";
  expect(await compareStores(a, b)).toMatchObject({
    runs: 7,
    differing: 2,
    differences: expect.arrayContaining([
      { runId: "moved", kind, details: [expect.stringContaining("createdAt")] },
      expect.objectContaining({ runId: "status", kind }),
    ]) as unknown,
  });
  for (const status of ["PENDING", "FAILED"] as const) {
    const report = await compareStores(a, b, { filter: { workflowId: "w", status } });
    expect(report.differences.find(({ runId }) => runId === "status")).toMatchObject({ kind });
    expect(report.differing).toBe(status === "PENDING" ? 2 : 1);
  }
});

test("a comparison reports no run that both stores deleted after they listed it", async () => {
  const [a, b] = [new MemoryStore(), new MemoryStore()];
  await givenRuns(a, 5);
  await copyStore(a, b);
  const first = faultyStore(a);
  first.fault = async () => {
    if (first.calls.at(-1) !== "readBundles") return;
    await Promise.all([a.deleteRun("run-000001"), b.deleteRun("run-000001")]);
  };
  expect(await compareStores(first.store, b)).toMatchObject({ equal: true, runs: 4 });
});

test("copies to one target at the same time do not disturb each other, nor a run of the app", async () => {
  for (const to of [new MemoryStore(), await file()]) {
    const from = new MemoryStore();
    await givenRuns(from, 3);
    await from.createRun({ runId: "gorkflow-probe", workflowId: "gorkflow-probe" });
    await copyStore(from, to);
    const copies = Array.from({ length: 30 }, () => copyStore(from, to, { resume: "compare" }));
    for (const report of await Promise.all(copies)) {
      expect(report).toEqual({ copied: 0, unchanged: 4 });
    }
    expect(await compareStores(from, to)).toMatchObject({ equal: true, runs: 4 });
    expect((await to.stats()).rows.workflowRuns).toBe(4);
    await to.close();
  }
});

test("a copy to a database whose trigger deletes old runs at once ends", async () => {
  const to = await file();
  await to.db.run(
    "create trigger tidy after insert on workflow_runs begin delete from workflow_runs where completed_at < 1e12; end",
  );
  // Neither store has a run that tells them apart.
  await expect(copyStore(new MemoryStore(), to, { resume: true })).rejects.toMatchObject({
    code: "STORE_BUSY",
  });
  await to.close();
});

test("no transfer includes the run that a killed check left behind", async () => {
  const [store, memory] = [new MemoryStore(), new MemoryStore()];
  await givenRuns(store, 3);
  await copyStore(store, memory);
  const dying = faultyStore(memory);
  dying.faultAfter = async () => {
    if (dying.calls.includes("writeBundles")) throw new Error("killed");
  };
  await expect(copyStore(store, dying.store, { resume: true })).rejects.toThrow("killed");
  expect((await memory.stats()).rows.workflowRuns).toBe(4);
  const lines = await exported(memory);
  expect(await importStore(new MemoryStore(), lines)).toMatchObject({ written: 3 });
  expect(await copyStore(memory, new MemoryStore())).toEqual({ copied: 3, unchanged: 0 });
  expect(await compareStores(store, memory)).toMatchObject({ equal: true, runs: 3 });
  expect(await copyStore(store, memory, { resume: true })).toEqual({ copied: 0, unchanged: 3 });
  expect((await memory.stats()).rows.workflowRuns).toBe(3);
});

test("a check for one database leaves at most one run if no run can be deleted", async () => {
  const target = await file();
  await target.db.$client.executeMultiple(`
    create table audit (run_id text references workflow_runs (run_id));
    create trigger audit_runs after insert on workflow_runs
      begin insert into audit values (new.run_id); end;`);
  const store = new MemoryStore();
  await givenRuns(store, 3);
  expect(await copyStore(store, target, { resume: true })).toEqual({ copied: 3, unchanged: 0 });
  expect((await target.stats()).rows.workflowRuns).toBe(3);
  for (let time = 0; time < 3; time++) {
    const again = await copyStore(store, target, { resume: "compare" });
    expect(again).toEqual({ copied: 0, unchanged: 3 });
  }
  expect((await target.stats()).rows.workflowRuns).toBe(4);
  expect(await compareStores(store, target)).toMatchObject({ equal: true, runs: 3 });
  await target.close();
});
