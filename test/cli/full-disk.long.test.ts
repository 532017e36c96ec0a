import { readdirSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();
const { answer } = command;
const runs = 1500;

let template: TemporaryFolder;
test.beforeAll(async ({ sharedFolder }) => {
  template = sharedFolder;
  await makeBulkRuns(template.database("runs.db"), runs);
});
test.beforeEach(() =>
  copyFile(join(template.path, "runs.db"), join(command.folder.path, "runs.db")),
);

/** Runs the command where no file can become larger: what a full disk is, to whoever writes. */
async function withLimit(kibibytes: number, args: readonly string[]) {
  // In sh a block has 512 bytes.
  const script = `ulimit -f ${2 * kibibytes}; exec "$0" "$@"`;
  return command.shell(script, [process.execPath, command.program, ...args]);
}

async function expectRefusal(
  kibibytes: number,
  args: readonly string[],
  remedy = /disk|full|limit/,
): Promise<void> {
  const { code, stdout, stderr } = await withLimit(kibibytes, args);
  expect([code, stdout]).toEqual([1, ""]);
  const problem = stderr.split("\n").filter((line) => line.startsWith("gorkflow:"));
  expect(problem).toEqual([expect.stringMatching(remedy)]);
  expect(stderr).not.toMatch(/^\s+at /m);
}

/** The runs that the second does not have; those that it has are as in the first. */
async function missingRuns(first: string, second: string): Promise<number> {
  const { stdout } = await command.runProcess([
    "compare",
    first,
    second,
    "--json",
    "--max",
    "1000000",
  ]);
  const { differences } = JSON.parse(stdout) as { differences: readonly { kind: string }[] };
  expect(differences.filter(({ kind }) => kind !== "missing in the second")).toEqual([]);
  return differences.length;
}

test("an import on a full disk leaves complete runs, and can be continued", async () => {
  await answer(["export", "runs.ndjson", "-d", "runs.db"]);
  const importing = ["import", "runs.ndjson", "-d", "target.db"];
  await expectRefusal(1000, importing, /limit; run the same command with --on-conflict skip/);
  const missing = await missingRuns("runs.db", "target.db");
  expect(missing).toBeGreaterThan(0);
  expect(missing).toBeLessThan(runs);
  await answer([...importing, "--on-conflict", "skip"]);
  expect(await missingRuns("runs.db", "target.db")).toBe(0);
});

test("a copy on a full disk leaves complete runs, and can be continued", async () => {
  const copying = ["copy", "runs.db", "target.db"];
  await expectRefusal(1000, copying, /limit; run the same command with --resume/);
  const missing = await missingRuns("runs.db", "target.db");
  expect(missing).toBeGreaterThan(0);
  expect(missing).toBeLessThan(runs);
  await answer([...copying, "--resume"]);
  expect(await missingRuns("runs.db", "target.db")).toBe(0);
});

test("a prune on a full disk leaves complete runs, and can be continued", async () => {
  await copyFile(join(command.folder.path, "runs.db"), join(command.folder.path, "pruned.db"));
  const pruning = ["prune", "--older-than", "1d", "-d", "pruned.db"];
  await expectRefusal(700, pruning, /limit; run the same command again/);
  expect(await missingRuns("runs.db", "pruned.db")).toBeLessThan(runs);
  expect(await answer(pruning)).toMatchObject({ deletedOrphans: 0, remainingRuns: runs / 100 });
  expect(await answer(["doctor", "-d", "pruned.db"])).toMatchObject({ healthy: true });
});

test.each([8, 80])(
  "migrations that meet a full disk, after %i KiB, are applied when there is room",
  async (kibibytes) => {
    const migrating = ["migrate", "-d", "new.db"];
    await expectRefusal(kibibytes, migrating);
    await command.runProcess(migrating);
    expect(await answer(["migrate", "--status", "-d", "new.db"])).toMatchObject({
      state: "current",
    });
    expect(await answer(["doctor", "-d", "new.db"])).toMatchObject({ healthy: true });
  },
);

test.each(["runs.ndjson", "runs.ndjson.gz"])(
  "an export to %s that meets a full disk leaves no half of a file",
  async (file) => {
    await expectRefusal(20, ["export", file, "-d", "runs.db"]);
    expect(readdirSync(command.folder.path).filter((name) => name.includes("ndjson"))).toEqual([]);
  },
);
