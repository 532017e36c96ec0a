import { expect } from "vitest";
import { bucketsOfLine, bucketSizes, bucketStartOf } from "../../src/reports/query/buckets.ts";
import { throughput } from "../../src/reports/throughput.ts";
import { workflowRuns } from "../../src/schema/tables.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";

const hourMs = 3_600_000;
const zones = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"];

/** Days on which clocks change in one of the zones or a day is skipped, and single days of many years. */
function times(): number[] {
  const found: number[] = [];
  for (const [year, month] of [
    [2011, 11],
    [2015, 1],
    [2024, 2],
    [2024, 9],
  ] as const) {
    const from = Date.UTC(year, month, 26);
    for (let at = from; at < from + 10 * 24 * hourMs; at += hourMs / 2) found.push(at);
  }
  for (let year = 1960; year < 2040; year++) found.push(Date.UTC(year, year % 12, 28, 13));
  return found;
}

test("a bucket begins at the same time in a query and in a chart", async ({ folder }) => {
  const store = await LibSQLStore.open(await migratedDatabase(folder));
  const rows = times().map((at) => ({
    runId: `r${at}`,
    workflowId: "w",
    createdAt: new Date(at),
    updatedAt: new Date(0),
  }));
  for (let index = 0; index < rows.length; index += 500) {
    await store.db.insert(workflowRuns).values(rows.slice(index, index + 500));
  }
  for (const zone of zones) {
    for (const per of bucketSizes) {
      const counts = new Map<number, number>();
      for (const at of times()) {
        const start = bucketStartOf(at, { per, zone });
        counts.set(start, (counts.get(start) ?? 0) + 1);
      }
      const queried = await throughput(store.db, { per, zone });
      expect(queried.map(({ bucketStart, created }) => [bucketStart.getTime(), created])).toEqual(
        [...counts].toSorted(([a], [b]) => a - b),
      );
    }
  }
  await store.close();
});

test.each(zones)("each bucket of %s is followed by the next", (zone) => {
  for (const per of bucketSizes) {
    const window = { since: null, until: Date.UTC(2030, 0, 1) };
    let start = bucketStartOf(Date.UTC(2011, 11, 25), { per, zone });
    const end = start + 400 * (per === "hour" ? hourMs : 24 * hourMs);
    while (start < end) {
      const [before = 0, own, next = 0] = bucketsOfLine([start], { per, zone }, window);
      expect(own).toBe(start);
      expect(bucketStartOf(start - 1, { per, zone })).toBe(before);
      expect(next).toBeGreaterThan(start);
      expect(bucketStartOf(next - 1, { per, zone })).toBe(start);
      start = next;
    }
  }
});
