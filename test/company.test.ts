// The store beside an app: its queries, tables, indexes, triggers and transactions, and its other processes.
import { afterAll, beforeAll, describe, test } from "vitest";
import { histories } from "./company/actions.ts";
import { startNeighbour, type Neighbour } from "./company/neighbour.ts";
import { runHistories } from "./company/run-histories.ts";
import { places, type Place, type PlaceName } from "./company/places.ts";

const scale = Number(process.env["COMPANY_SCALE"] ?? 1);

const counts: Record<PlaceName, number> = {
  "a file, by our client": 450,
  "memory, by our client": 300,
  "a file, by @libsql/client": 200,
  "a server": 100,
};

describe.each(Object.keys(counts) as PlaceName[])("LibSQLStore beside an app on %s", (name) => {
  let place: Place;
  let neighbour: Neighbour;
  beforeAll(async () => {
    [place, neighbour] = await Promise.all([places[name](), startNeighbour()]);
  });
  afterAll(async () => {
    await neighbour.stop();
    await place.close();
  });

  test("answers as if it were alone, and leaves the app's rows alone", async () => {
    await runHistories(place, neighbour, histories, Math.ceil(counts[name] * scale));
  }, 600_000);
});
