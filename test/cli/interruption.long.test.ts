import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { describe, expect, onTestFinished, vi } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import type { CommandResult } from "../support/command-line.ts";
import { startProxy } from "../support/loopback-proxy.ts";
import type { Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();
const { answer } = command;
const runs = 6000;

let server: Sqld;
test.beforeAll(({ server: own }) => {
  server = own;
});

let template: TemporaryFolder;
test.beforeAll(async () => {
  template = await temporaryFolder();
  await makeBulkRuns(template.database("runs.db"), runs);
});
test.afterAll(() => template.remove());
test.beforeEach(() => copyFile(join(template.path, "runs.db"), path("runs.db")));

const path = (name: string) => join(command.folder.path, name);

/** Starts a command, and ends it by the signal as soon as it says how far it is. */
async function interrupted(
  args: readonly string[],
  signal: NodeJS.Signals,
): Promise<CommandResult> {
  const started = command.start(args);
  await once(started.process.stderr, "data");
  started.process.kill(signal);
  return started.ended;
}

/** What is said of two databases that need not be equal. */
async function comparison(first: string, second: string) {
  const { stdout } = await command.runProcess([
    "compare",
    first,
    second,
    "--json",
    "--max",
    "1000000",
  ]);
  return JSON.parse(stdout) as {
    differing: number;
    differences: readonly { readonly kind: string }[];
  };
}

/** Some of the runs are in the second, each as in the first; the others are not there at all. */
async function expectWholeRuns(first: string, second: string): Promise<void> {
  const { differing, differences } = await comparison(first, second);
  expect(differing).toBeGreaterThan(0);
  expect(differing).toBeLessThan(runs);
  expect(new Set(differences.map(({ kind }) => kind))).toEqual(new Set(["missing in the second"]));
}

async function remainingRuns(): Promise<number> {
  const stats = (await answer(["stats", "-d", "runs.db"])) as { rows: { workflowRuns: number } };
  return stats.rows.workflowRuns;
}

describe("Ctrl-C in the middle of", () => {
  const [signal, exitCode] = ["SIGINT", 130] as const;

  test.each(["kept.ndjson", "kept.ndjson.gz"])(
    "an export to %s leaves the file of before, and nothing else",
    async (file) => {
      await writeFile(path(file), "of before");
      const { code, stdout, stderr } = await interrupted(["export", file, "-d", "runs.db"], signal);
      expect([code, stdout]).toEqual([exitCode, ""]);
      expect(stderr).toMatch(/interrupted; .* \(run the same command again/);
      expect(await readFile(path(file), "utf8")).toBe("of before");
      expect(readdirSync(command.folder.path).filter((name) => name.includes("partial"))).toEqual(
        [],
      );
      await answer(["export", file, "-d", "runs.db"]);
      const content = await readFile(path(file));
      const text = (file.endsWith(".gz") ? gunzipSync(content) : content).toString();
      expect(text.trimEnd().split("\n")).toHaveLength(runs + 2);
    },
  );

  test("an export that npx passes the signal on to leaves nothing", async () => {
    const started = command.start(["export", "twice.ndjson", "-d", "runs.db"]);
    await once(started.process.stderr, "data");
    started.process.kill(signal);
    setTimeout(() => started.process.kill(signal), 2);
    const { code, stderr } = await started.ended;
    expect([code, stderr]).toEqual([exitCode, expect.stringContaining("interrupted; ")]);
    expect(readdirSync(command.folder.path)).not.toContainEqual(expect.stringContaining("twice"));
  });

  test("an export to a pipe that nobody reads ends at the second Ctrl-C", async () => {
    await promisify(execFile)("mkfifo", [path("unread")]);
    const started = command.start(["export", "unread", "-d", "runs.db"]);
    await vi.waitFor(() => expect(existsSync(path("runs.db-shm"))).toBe(true), 10_000);
    started.process.kill(signal);
    await once(started.process.stderr, "data");
    // One that follows the first closely is taken as the same.
    const again = setInterval(() => started.process.kill(signal), 600);
    onTestFinished(() => clearInterval(again));
    expect((await started.ended).stderr).toContain("interrupted; ");
  });

  test("an import leaves complete runs, and --on-conflict skip imports the rest", async () => {
    await answer(["export", "runs.ndjson", "-d", "runs.db"]);
    const importing = ["import", "runs.ndjson", "-d", "target.db"];
    const { code, stdout, stderr } = await interrupted(importing, signal);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toContain("--on-conflict skip to continue");
    await expectWholeRuns("runs.db", "target.db");
    await answer([...importing, "--on-conflict", "skip"]);
    expect(await comparison("runs.db", "target.db")).toMatchObject({ differing: 0 });
  });

  test("a copy leaves complete runs, and --resume copies the rest", async () => {
    const copying = ["copy", "runs.db", "target.db"];
    const { code, stdout, stderr } = await interrupted(copying, signal);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toContain("--resume to continue");
    await expectWholeRuns("runs.db", "target.db");
    await answer([...copying, "--resume"]);
    expect(await comparison("runs.db", "target.db")).toMatchObject({ differing: 0 });
  });

  test("a comparison prints no result, and changes nothing", async () => {
    await copyFile(path("runs.db"), path("copy.db"));
    const { code, stdout } = await interrupted(["compare", "runs.db", "copy.db"], signal);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect((await readFile(path("copy.db"))).equals(await readFile(path("runs.db")))).toBe(true);
  });

  test("a prune leaves complete runs, and the same command deletes the rest", async () => {
    await copyFile(path("runs.db"), path("pruned.db"));
    const pruning = ["prune", "--older-than", "1d", "-d", "pruned.db"];
    const { code, stdout, stderr } = await interrupted(pruning, signal);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toContain("run the same command again");
    await expectWholeRuns("runs.db", "pruned.db");
    // One in a hundred is still PENDING.
    expect(await answer(pruning)).toMatchObject({ deletedOrphans: 0, remainingRuns: runs / 100 });
    expect(await answer(["doctor", "-d", "pruned.db"])).toMatchObject({ healthy: true });
  });

  test("a deletion by filter says how many runs it has deleted", async () => {
    const deleting = ["runs", "delete", "--all", "-d", "runs.db"];
    const { code, stdout } = await interrupted(deleting, signal);
    expect(code).toBe(exitCode);
    const remaining = await remainingRuns();
    expect(remaining).toBeGreaterThan(runs / 100);
    const deleted = Number(/^deleted: ([\d,]+) runs\n$/.exec(stdout)?.[1]?.replaceAll(",", ""));
    expect(deleted).toBeGreaterThan(0);
    // The last ones may have been deleted after the command stopped waiting for them.
    expect(deleted).toBeLessThanOrEqual(runs - remaining);
  });

  test("a list of all runs ends after a complete line", async () => {
    const started = command.start(["runs", "list", "--all", "--ndjson", "-d", "runs.db"]);
    await once(started.process.stdout, "data");
    started.process.kill(signal);
    const { code, stdout } = await started.ended;
    expect(code).toBe(exitCode);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.length).toBeLessThan(runs);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty("runId");
  });

  test("a watch does not change the run", async () => {
    const started = command.start(["runs", "watch", "run-000000007", "-d", "runs.db"]);
    let seen = "";
    started.process.stdout.on("data", (text: string) => (seen += text));
    await vi.waitFor(() => expect(seen).toContain("PENDING"), 10_000);
    started.process.kill(signal);
    const { code, stderr } = await started.ended;
    expect([code, stderr]).toEqual([exitCode, expect.stringContaining("the run continues")]);
    expect(await answer(["runs", "show", "run-000000007", "-d", "runs.db"])).toMatchObject({
      run: { status: "PENDING", revision: 1 },
    });
  });
});

test.each([
  ["an export", ["export", "runs.ndjson", "-d", "runs.db"]],
  ["a copy", ["copy", "runs.db", "target.db"]],
  ["a prune", ["prune", "--older-than", "1d", "-d", "runs.db"]],
])("SIGTERM ends %s with 143", async (_, args) => {
  const { code, stdout, stderr } = await interrupted(args, "SIGTERM");
  expect([code, stdout]).toEqual([143, ""]);
  expect(stderr).toMatch(/interrupted; finished work stays done \(.*\)$/m);
  expect(readdirSync(command.folder.path).filter((name) => name.includes("ndjson"))).toEqual([]);
});

test.each([
  ["stats", ["stats"]],
  ["doctor", ["doctor"]],
  ["an export", ["export", "hanging.ndjson"]],
])("Ctrl-C ends %s with 130 though the server does not answer", async (_, args) => {
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy.close());
  proxy.stalled = true;
  const started = command.start(args, { env: { GORKFLOW_DATABASE_URL: proxy.httpUrl } });
  // It has asked, and waits.
  await vi.waitFor(() => expect(proxy.roundTrips).toBeGreaterThan(0), 20_000);
  started.process.kill("SIGINT");
  expect(await started.ended).toMatchObject({ code: 130, stdout: "" });
  expect(readdirSync(command.folder.path).filter((name) => name.includes("hanging"))).toEqual([]);
});
