import fc from "fast-check";
import { seeded } from "../support/seed.ts";
import { Company, type Action } from "./company.ts";
import type { Neighbour } from "./neighbour.ts";
import type { Place } from "./places.ts";

/** Runs random sequences in the place, each on its own database, and compares what is stored with the model. */
export async function runHistories(
  place: Place,
  neighbour: Neighbour | null,
  histories: fc.Arbitrary<Action[]>,
  numRuns: number,
): Promise<void> {
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
    numRuns,
    reporter: ({ failed, seed: failing, counterexamplePath, errorInstance }) => {
      if (!failed) return;
      throw new Error(`TEST_SEED=${failing} TEST_PATH=${counterexamplePath ?? ""} repeats it`, {
        cause: errorInstance,
      });
    },
    ...seeded,
  });
}
