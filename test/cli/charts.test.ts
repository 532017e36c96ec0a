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

test("without colors, each line has a chart of its own", () => {
  const until = new Date(begin + 30 * hour);
  const options = { per: "hour", columns: 80, since: undefined, until } as const;
  const text = drawChart("throughput", rowsOf(30), options) ?? "";
  const names = text.split("\n").filter((line) => /^[a-z]+$/.test(line));
  expect(names).toEqual(["created", "completed", "failed"]);
  expect(text.match(/^ +0 /gm)).toHaveLength(3);
});

const berlin = "Europe/Berlin";
test.each([
  ["a month of 28 days", "month", "UTC", "2026-02-01T00:00Z", "2026-03-01T00:00Z"],
  ["a month of 30 days", "month", berlin, "2026-03-31T22:00Z", "2026-04-30T22:00Z"],
  ["a day of 25 hours", "day", berlin, "2026-10-24T22:00Z", "2026-10-25T23:00Z"],
  ["a day of 23 hours", "day", berlin, "2026-03-28T23:00Z", "2026-03-29T22:00Z"],
  ["a week with a day of 25 hours", "week", berlin, "2026-10-18T22:00Z", "2026-10-25T23:00Z"],
  ["an hour before clocks change", "hour", berlin, "2026-10-25T00:00Z", "2026-10-25T01:00Z"],
] as const)("%s is partial until it ends", (_, per, zone, start, end) => {
  const bucketStart = new Date(start);
  const before = { bucketStart: new Date(0), created: 1, completed: 1, failed: 1 };
  const rows = [before, { ...before, bucketStart }];
  const options = { per, zone, columns: 80, since: undefined };
  const until = new Date(end);
  const minuteBefore = new Date(until.getTime() - 60_000);
  expect(drawChart("throughput", rows, { ...options, until })).not.toContain("*");
  expect(drawChart("throughput", rows, { ...options, until: minuteBefore })).toContain("*");
});

const command = setUpCommand();

withFolder("a chart is not printed into a pipe", async () => {
  const database = command.folder.database();
  await makeBulkRuns(database, 3700);
  const { stdout } = await command.run(["report", "throughput", "--per", "hour", "-d", database]);
  expect(stdout).toContain("bucket start");
  expect(stdout).not.toMatch(/[┤┼╭╯]/);
});
