import { expect, test } from "vitest";
import { drawChart } from "../../src/cli/output/charts.ts";
import { test as withFolder } from "../support/fixtures.ts";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { setUpCommand } from "./support.ts";

const hour = 3_600_000;
const begin = Date.UTC(2026, 10, 1);
const rowsOf = (buckets: number) =>
  Array.from({ length: buckets }, (_, index) => ({
    bucketStart: new Date(begin + index * hour),
    created: index,
    completed: 1,
    failed: 0,
  }));

test.each([
  [20, 60],
  [60, 60],
  [80, 80],
  [137, 137],
  [400, 200],
])("a chart on a terminal of %i columns uses at most %i", (columns, expected) => {
  const until = new Date(begin + 1000 * hour);
  const chart = drawChart("throughput", rowsOf(500), {
    per: "hour",
    columns,
    since: undefined,
    until,
  });
  const widths = (chart ?? "").split("\n").map((line) => line.length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(expected);
  expect(Math.max(...widths)).toBeGreaterThan(expected - 4);
  expect(chart).toMatch(/2026-11-\d\dT\d\d +2026-11-21T19\n/);
  expect(chart).not.toContain("*");
});

test("a chart marks partial buckets, and is not drawn for one bucket", () => {
  const [since, until] = [new Date(begin + 1), new Date(begin + 29.5 * hour)];
  const options = { per: "hour", columns: 80, since, until } as const;
  const chart = drawChart("throughput", rowsOf(30), options);
  expect(chart).toContain("2026-11-01T00* to 2026-11-02T05*");
  expect(chart).toContain("* only a part of it is counted");
  const whole = { ...options, since: new Date(begin), until: new Date(begin + 30 * hour) };
  expect(drawChart("throughput", rowsOf(30), whole)).not.toContain("*");
  expect(drawChart("throughput", rowsOf(1), options)).toBeNull();
  expect(drawChart("throughput", [], options)).toBeNull();
});

const command = setUpCommand();

withFolder("a chart is not printed into a pipe", async () => {
  const database = command.folder.database();
  await makeBulkRuns(database, 3700);
  const { stdout } = await command.run(["report", "throughput", "--per", "hour", "-d", database]);
  expect(stdout).toContain("bucket start");
  expect(stdout).not.toMatch(/[┤┼╭╯]/);
});
