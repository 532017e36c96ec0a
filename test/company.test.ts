// The store beside an app: its queries, tables, indexes, triggers and transactions, and its other processes.
import fc from "fast-check";
import { afterAll, beforeAll, describe, test } from "vitest";
import { histories } from "./company/actions.ts";
import { Company } from "./company/company.ts";
import { startNeighbour, type Neighbour } from "./company/neighbour.ts";
import { places, type Place, type PlaceName } from "./company/places.ts";
import { seeded } from "./support/seed.ts";

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
    const property = fc.asyncProperty(histories, async (actions) => {
      const database = await place.open();
      const done: string[] = [];
      try {
        const company = new Company(database, database.url === null ? null : neighbour);
        for (const action of actions) {
          done.push(action.words);
          await action.run(company);
        }
        await company.compare();
      } catch (error) {
        throw new Error(`${done.join("\n")}\n${error instanceof Error ? error.message : ""}`, {
          cause: error,
        });
      } finally {
        await database.close();
      }
    });
    await fc.assert(property, {
      numRuns: Math.ceil(counts[name] * scale),
      reporter: ({ failed, seed: failing, counterexamplePath, errorInstance }) => {
        if (!failed) return;
        throw new Error(`TEST_SEED=${failing} TEST_PATH=${counterexamplePath ?? ""} repeats it`, {
          cause: errorInstance,
        });
      },
      ...seeded,
    });
  }, 600_000);
});
