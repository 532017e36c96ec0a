// As company.test.ts, with `SQLiteStore` on other drivers than libSQL.
import { test } from "vitest";
import { historiesOfD1, historiesOfSyncDriver } from "./company/actions.ts";
import { onBetterSQLite3, onD1 } from "./company/drivers.ts";
import { startNeighbour } from "./company/neighbour.ts";
import { runHistories } from "./company/run-histories.ts";

const scale = Number(process.env["COMPANY_SCALE"] ?? 1);

test("SQLiteStore on better-sqlite3 answers beside an app as if it were alone", async () => {
  const [place, neighbour] = await Promise.all([onBetterSQLite3(), startNeighbour()]);
  try {
    await runHistories(place, neighbour, historiesOfSyncDriver, Math.ceil(100 * scale));
  } finally {
    await neighbour.stop();
    await place.close();
  }
}, 600_000);

test("SQLiteStore on D1 answers beside an app as if it were alone", async () => {
  const place = await onD1();
  try {
    await runHistories(place, null, historiesOfD1, Math.ceil(20 * scale));
  } finally {
    await place.close();
  }
}, 600_000);
