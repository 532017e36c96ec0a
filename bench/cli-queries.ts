/**
 * What the commands that only look take at a million runs of four steps: the query alone, in a store that was just
 * opened and in one that has asked before, and the whole command, from the shell's point of view.
 * From the root: `npx tsx bench/cli-queries.ts [runs] [command]`, some minutes for all commands. Its table is that of
 * docs/operations.md.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { LibSQLStore, type RunQuery } from "../src/index.ts";
import { reportNames, runReport, type ReportName } from "../src/reports/named-reports.ts";
import { bulkBeginning, makeBulkRuns } from "../test/support/bulk-runs.ts";
import { table } from "./results-text.ts";
import { expectRows, holds, rounded, type Target } from "./section.ts";

const runs = Number(process.argv[2] ?? 1_000_000);
const only = process.argv[3];
const rounds = 5;
const day = 24 * 3600_000;
const end = bulkBeginning + runs * 1000;
const lastDay = new Date(end - day);
const timeOption = (time: Date) => time.toISOString();

interface Question {
  readonly args: readonly string[];
  readonly ask: (store: LibSQLStore) => Promise<unknown>;
}

const list = (query: RunQuery, ...args: string[]): Question => ({
  args: ["runs", "list", ...args],
  ask: (store) => store.listRuns({ limit: 20, ...query }),
});

const report = (name: ReportName, ...args: string[]): Question => ({
  args: ["report", name, ...args],
  ask: (store) =>
    runReport(name, store.db, {
      options: args.length === 0 ? {} : { since: lastDay },
      per: "day",
      idleMs: undefined,
      limit: 50,
    }),
});

const middle = new Date(bulkBeginning + (runs * 1000) / 2);
const all: readonly Question[] = [
  list({}),
  list({ limit: 1000 }, "--limit", "1000"),
  list({ status: ["FAILED"] }, "--status", "FAILED"),
  list({ status: ["FAILED", "CANCELLED"] }, "--status", "FAILED,CANCELLED"),
  list({ workflowId: "workflow-3" }, "--workflow", "workflow-3"),
  list(
    { workflowId: "workflow-3", status: ["FAILED"] },
    "--workflow",
    "workflow-3",
    "--status",
    "FAILED",
  ),
  list({ resourceId: "customer-7" }, "--resource", "customer-7"),
  list({ createdAfter: lastDay }, "--after", timeOption(lastDay)),
  list({ createdBefore: middle }, "--before", timeOption(middle)),
  list({ tags: { n: "3" } }, "--tag", "n=3"),
  list({ tags: { n: "none" } }, "--tag", "n=none"),
  list(
    { tags: { n: "none" }, createdAfter: lastDay },
    "--tag",
    "n=none",
    "--after",
    timeOption(lastDay),
  ),
  { args: ["stats"], ask: (store) => store.stats() },
  ...reportNames.map((name) => report(name)),
  ...reportNames
    .filter((name) => !["stuck", "pending", "storage"].includes(name))
    .map((name) => report(name, "--since", timeOption(lastDay))),
];

const questions = all.filter(({ args: [name] }) => only === undefined || name === only);

async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The median of a few rounds; what takes seconds is done once. */
async function repeated(work: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  while (values.length < rounds) {
    values.push(await work());
    if ((values[0] ?? 0) > 1500) break;
  }
  return median(values);
}

const execute = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "gorkflow-cli-"));
const root = join(import.meta.dirname, "..");
try {
  const path = join(folder, "workflows.db");
  const url = `file:${path}`;
  await execute("npm", ["run", "build"], { cwd: root });
  await makeBulkRuns(url, runs);
  console.error(`${runs} runs in ${Math.round((await stat(path)).size / 1e6)} MB`);
  const command = (args: readonly string[]) =>
    execute(process.execPath, [join(root, "dist/cli/main.js"), ...args], {
      maxBuffer: 1e8,
      env: { PATH: process.env["PATH"], GORKFLOW_DATABASE_URL: url },
    });

  const measured: { question: string; first: number; later: number; whole: number }[] = [];
  for (const { args, ask } of questions) {
    const question = args.join(" ");
    console.error(question);
    const first = await repeated(async () => {
      const store = await LibSQLStore.open({ url, migrate: false });
      const took = await millisecondsOf(() => ask(store));
      await store.close();
      return took;
    });
    const store = await LibSQLStore.open({ url, migrate: false });
    await ask(store);
    const later = await repeated(() => millisecondsOf(() => ask(store)));
    await store.close();
    const whole = await repeated(() => millisecondsOf(() => command(args)));
    measured.push({ question, first, later, whole });
  }
  const help = await repeated(() => millisecondsOf(() => command(["--version"])));
  const { stdout } = await command(["stats", "--json"]);
  const { rows } = JSON.parse(stdout) as { rows: Record<string, number> };
  expectRows("runs", rows["workflowRuns"] ?? 0, runs);
  expectRows("steps", rows["stepExecutions"] ?? 0, 4 * runs);

  const limits: Readonly<Record<string, number>> = { "runs list": 50, stats: 300 };
  const targets = measured.flatMap(({ question, first }): Target[] => {
    const value = limits[question];
    if (value === undefined) return [];
    return [{ what: `gorkflow ${question}`, bound: "at most", value, unit: "ms", measured: first }];
  });
  console.log(
    table(
      ["command", "query, first, ms", "query, later, ms", "whole command, ms"],
      [...measured, { question: "--version", first: null, later: null, whole: help }].map(
        ({ question, first, later, whole }) => [
          `\`gorkflow ${question}\``,
          first === null ? "" : rounded(first),
          later === null ? "" : rounded(later),
          rounded(whole),
        ],
      ),
    ),
  );
  for (const target of targets) {
    console.log(
      `${target.what}: ${rounded(target.measured)} ms of ${target.value}: ${holds(target) ? "holds" : "DOES NOT HOLD"}`,
    );
  }
} finally {
  await rm(folder, { recursive: true });
}
