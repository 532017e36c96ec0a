import { MemoryStore } from "../../dist/index.js";
import { measure } from "../measure.ts";
import { expectRows, measurementHeader, measurementRows, of, type Section } from "../section.ts";
import { payload } from "../subjects.ts";

const calls = 10_000;

export async function run(): Promise<Section> {
  const store = new MemoryStore();
  let created = 0;
  const input = payload(100);
  const measured = await measure([
    {
      subject: "create and get",
      calls,
      run: async () => {
        created += 1;
        const runId = `run-${created}`;
        await store.createRun({ runId, workflowId: "bench", input });
        await store.getRun(runId);
      },
    },
  ]);
  const { rows } = await store.stats();
  expectRows("the memory store", rows.workflowRuns, created);
  await store.close();
  return {
    title: "MemoryStore",
    how: `A run with an input of 100 B is created and read back, ${created.toLocaleString("en")} times in one store.`,
    header: measurementHeader,
    rows: measurementRows("", measured),
    targets: [
      {
        what: "MemoryStore create and get, warm, median of 5",
        bound: "at most",
        value: 10,
        unit: "µs",
        measured: of(measured, "create and get"),
      },
    ],
  };
}
