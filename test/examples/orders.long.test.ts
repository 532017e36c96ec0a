import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { count, eq } from "drizzle-orm";
import { afterEach, beforeEach, expect, test } from "vitest";
import { stepExecutions, workflowRuns } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

/** Runs the demo in the test's folder. */
const demo = async (...args: string[]) => {
  const tsx = join(root, "node_modules/.bin/tsx");
  const tsconfig = ["--tsconfig", join(root, "tsconfig.json")];
  const { stdout } = await run(tsx, [...tsconfig, join(root, "examples/orders/main.ts"), ...args], {
    cwd: folder.path,
  });
  return stdout;
};

test("the demo runs every order, and a second demo adds nothing", async () => {
  const first = await demo();
  expect(first).toContain("293 runs were carried out now, 0 had been before.");
  expect(first).toMatch(/COMPLETED.*248/);
  expect(first).toMatch(/FAILED.*45/);
  expect(first).toContain("sqlite3 ./workflows.db");
  expect(await demo()).toContain("0 runs were carried out now, 293 had been before.");

  const store = await LibSQLStore.open(folder.database());
  const attempts = await store.db
    .select({ attempt: stepExecutions.attempt, executions: count() })
    .from(stepExecutions)
    .where(eq(stepExecutions.stepId, "charge"))
    .groupBy(stepExecutions.attempt);
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 3]);
  const failed = await store.db
    .select({ error: workflowRuns.error })
    .from(workflowRuns)
    .where(eq(workflowRuns.status, "FAILED"));
  const causes = failed.map(({ error }) => (error as { stepId: string; attempt: number }).stepId);
  expect(new Set(causes)).toEqual(new Set(["validate", "ship"]));
  await store.close();
});

test("a file without orders is not an error", async () => {
  const orders = join(folder.path, "orders.jsonl");
  await writeFile(orders, "\nnot JSON\n[1]\n");
  const said = await demo("file:./other.db", orders);
  expect(said).toContain("0 orders; lines without a JSON object: 2, 3");
  expect(said).toContain("0 runs were carried out now");
});
