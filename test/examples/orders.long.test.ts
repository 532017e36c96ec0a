import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { count, eq } from "drizzle-orm";
import Database from "libsql";
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

/** Runs a program of this project in the test's folder. */
const runSource = async (path: string, ...args: string[]) => {
  const tsx = join(root, "node_modules/.bin/tsx");
  const tsconfig = ["--tsconfig", join(root, "tsconfig.json")];
  const { stdout } = await run(tsx, [...tsconfig, path, ...args], { cwd: folder.path });
  return stdout;
};

const runExample = (name: string, ...args: string[]) =>
  runSource(join(root, "examples", name), ...args);

const demo = (...args: string[]) => runExample("orders/main.ts", ...args);

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

  const answers = await runExample("notebook/main.ts");
  expect(answers).toMatch(/'AQ' *│ *\d+ *│ *'100 %'/);
  expect(answers).toMatch(/'validate' *│ *293 /);
  expect(answers).toContain("45 × Error");
  expect(answers).toMatch(/^ {3}\d{4}-\d\d-\d\d {2}\d+ %$/m);
  expect(answers).toMatch(/: \d+ ms once, \d+ ms on average/);
});

test("SQL answers questions about the reports that the command writes as CSV", async () => {
  await demo();
  const questions = join(root, "examples/notebook/reports.sql");
  const sql = await readFile(questions, "utf8");
  const commands = [...sql.matchAll(/^-- {3}gorkflow (.*) > (.*)$/gm)];
  expect(commands.map(([, , file]) => file)).toEqual(["throughput.csv", "funnel.csv", "steps.csv"]);
  const command = join(root, "src/cli/main.ts");
  const database = new Database(":memory:");
  for (const [, words = "", file = ""] of commands) {
    const csv = await runSource(command, ...words.split(" "), "-d", "workflows.db");
    importCsv(database, file, csv);
  }
  // DuckDB takes the name of a file as that of a table, too.
  const rows = sql
    .split(/;$/m)
    .flatMap((question) =>
      /^select/m.test(question) ? database.prepare(question).raw().all() : [],
    );
  const lines = (rows as unknown[][]).map((row) => row.join("|"));
  const [hours, steps] = [/^\d\d\|\d+\|(\d+)$/, /^fulfil-order\|(.*)\|(\d+)\|(\d+)\|\d+$/];
  const failed = lines.map((line) => Number(hours.exec(line)?.[1] ?? 0));
  expect(failed.reduce((sum, of) => sum + of, 0)).toBe(45);
  const stops = lines.flatMap((line) => (steps.exec(line) === null ? [] : [steps.exec(line)]));
  expect(stops.map((stop) => stop?.[1])).toEqual(["validate", "ship"]);
  expect(stops.reduce((sum, stop) => sum + Number(stop?.[3]), 0)).toBe(45);
});

/** Creates a table of texts. The values of these reports have no quotes. */
function importCsv(database: Database.Database, name: string, csv: string): void {
  const [head = [], ...rows] = csv.split(/\r?\n/).map((line) => line.split(","));
  database.exec(`create table "${name}" (${head.join()})`);
  const insert = database.prepare(`insert into "${name}" values (${head.map(() => "?").join()})`);
  for (const row of rows.filter(({ length }) => length === head.length)) insert.run(row);
}

test("a file without orders is not an error", async () => {
  const orders = join(folder.path, "orders.jsonl");
  await writeFile(orders, "\nnot JSON\n[1]\n");
  const said = await demo("file:./other.db", orders);
  expect(said).toContain("0 orders; lines without a JSON object: 2, 3");
  expect(said).toContain("0 runs were carried out now");
});

test("the demo shows its data in the studio", async () => {
  const tsx = join(root, "node_modules/tsx/dist/cli.mjs");
  const main = join(root, "examples/orders/main.ts");
  const args = [tsx, "--tsconfig", join(root, "tsconfig.json"), main, "--studio"];
  const child = spawn(process.execPath, args, {
    cwd: folder.path,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let text = "";
    for await (const chunk of child.stdout.setEncoding("utf8")) {
      text += chunk as string;
      if (/until you press/.test(text)) break;
    }
    const [origin = ""] = /http:\/\/localhost:\d+/.exec(text) ?? [];
    const response = await fetch(`${origin}/api/counts`);
    expect(await response.json()).toMatchObject({ counts: { COMPLETED: 248, FAILED: 45 } });
    expect((await fetch(`${origin}/assets/studio.js`)).status).toBe(200);
  } finally {
    const ended = once(child, "close");
    child.kill("SIGTERM");
    await ended;
  }
});
