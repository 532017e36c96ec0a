import { once } from "node:events";
import { expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();
let database: string;

test.beforeEach(async ({ folder }) => {
  database = folder.database();
  const store = await LibSQLStore.open(database);
  // Berlin is one hour ahead of UTC: 23:30 is on the next day there.
  for (const [runId, time] of ["2026-01-04T23:30Z", "2026-01-05T10:00Z"].entries()) {
    const createdAt = new Date(time);
    await store.createRun({
      runId: `run-${runId}`,
      workflowId: 'a,"b" | <c>',
      workflowVersion: String(runId + 1),
      resourceId: `customer-${runId}`,
      tags: { n: String(runId) },
      status: "COMPLETED",
      createdAt,
      startedAt: createdAt,
      completedAt: new Date(createdAt.getTime() + 1500),
    });
  }
  await store.close();
});

const report = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await command.run(["report", ...args, "-d", database]);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
  return stdout;
};

test("buckets begin in the time zone, and so are its times printed", async () => {
  expect(await report("throughput")).toContain("2026-01-04T00:00:00Z");
  const local = await report("throughput", "--zone", "Europe/Berlin");
  expect(local).toContain("2026-01-05T00:00:00+01:00");
  expect(local.trim().split("\n")).toHaveLength(2);
  const [week] = JSON.parse(
    await report("durations", "--per", "week", "--zone", "Europe/Berlin", "--json"),
  ) as { bucketStart: string; runs: number }[];
  expect(week).toMatchObject({ bucketStart: "2026-01-04T23:00:00.000Z", runs: 2, maxMs: 1500 });
  const { code, stderr } = await command.run(["report", "throughput", "--zone", "Mars/Olympus"]);
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("--zone") });
});

test("times without an offset are in the time zone", async () => {
  const runsOf = async (...args: string[]) => {
    const rows = JSON.parse(await report("throughput", ...args, "--json")) as { created: number }[];
    return rows.reduce((sum, { created }) => sum + created, 0);
  };
  const inBerlin = ["--zone", "Europe/Berlin"];
  expect(await runsOf("--since", "2026-01-05")).toBe(1);
  expect(await runsOf("--since", "2026-01-05", ...inBerlin)).toBe(2);
  expect(await runsOf("--since", "2026-01-05T00:31", ...inBerlin)).toBe(1);
  expect(await runsOf("--since", "2026-01-05T00:00Z", ...inBerlin)).toBe(1);
  expect(await runsOf("--until", "2026-01-05", ...inBerlin)).toBe(0);
  expect(await runsOf("--until", "2026-01-05T00:31", ...inBerlin)).toBe(1);
});

test("a report is printed as a table, JSON, CSV or Markdown", async () => {
  expect(await report("runs", "--format", "csv")).toBe(
    'workflowId,runs,p50Ms,p90Ms,p95Ms,p99Ms,maxMs\n"a,""b"" | <c>",2,1500,1500,1500,1500,1500\n',
  );
  expect(await report("runs", "--format", "markdown")).toBe(
    [
      "| workflow id | runs | p50 | p90 | p95 | p99 | max |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      '| a,"b" \\| \\<c> | 2 | 1.5 s | 1.5 s | 1.5 s | 1.5 s | 1.5 s |\n',
    ].join("\n"),
  );
  expect(await report("runs", "--format", "json")).toBe(await report("runs", "--json"));
  expect(await report("runs", "--format", "ndjson")).toBe(await report("runs", "--ndjson"));
  expect(await report("runs", "--format", "csv", "--workflow", "none")).toBe(
    "workflowId,runs,p50Ms,p90Ms,p95Ms,p99Ms,maxMs\n",
  );
  const { code } = await command.run(["report", "runs", "--json", "--format", "csv"]);
  expect(code).toBe(2);
});

test.for([
  ["--workflow-version", "2"],
  ["--resource", "customer-1"],
  ["--tag", "n=1"],
])("a report is limited by %s", async (filter) => {
  const rows = JSON.parse(await report("latency", "--json", ...filter)) as unknown[];
  expect(rows).toMatchObject([{ runs: 1 }]);
});

test("workers are listed with their runs and leases", async () => {
  let now = new Date(0);
  const store = await LibSQLStore.open({ url: database, clock: () => now });
  await store.createRun({ runId: "held", workflowId: "w" });
  await store.claimRuns({ workerId: "worker-0", leaseMs: 1, limit: 1 });
  now = new Date();
  await store.claimRuns({ workerId: "worker-1", leaseMs: 60_000, limit: 1 });
  await store.close();
  const list = (...args: string[]) => command.answer(["workers", ...args, "-d", database]);
  expect(await list()).toMatchObject([
    {
      workerId: "worker-1",
      runs: 1,
      workflows: 1,
      expired: 0,
      heldSince: now.toISOString(),
      leaseExpiresAt: expect.any(String),
    },
  ]);
  expect(await list("--workflow", "other")).toEqual([]);
  const { stdout } = await command.run(["workers", "-d", database]);
  expect(stdout).toMatch(/^worker id +runs +workflows +expired/);
});

const watch = () =>
  command.start(["report", "versions", "--ndjson", "--watch", "1s", "-d", database]);

test("a watched report ends when its reader has gone", async () => {
  const watching = watch();
  await once(watching.process.stdout, "data");
  watching.process.stdout.destroy();
  expect(await watching.ended).toMatchObject({ code: 0, stderr: "" });
});

test("a watched report is printed again until it is interrupted", async () => {
  const watching = watch();
  let lines = 0;
  watching.process.stdout.on("data", (text: string) => (lines += text.split("\n").length - 1));
  // Two versions each time.
  await expect.poll(() => lines, { timeout: 20_000 }).toBeGreaterThan(3);
  watching.process.kill("SIGINT");
  await watching.ended;
  expect(watching.process.signalCode ?? watching.process.exitCode).not.toBe(0);
});
