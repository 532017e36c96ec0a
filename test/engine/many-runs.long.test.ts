import { beforeAll, expect, onTestFinished, test } from "vitest";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { temporaryFolder } from "../support/temporary.ts";

const runCount = Number(process.env["MANY_RUNS"] ?? 1000);
/** The limit of the old generation: a tenth of the payloads of 10,000 runs. */
const maxHeapMb = 48;

let program: string;
beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/many-runs.ts`);
});

interface Said {
  readonly ended: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly heapBytes: number;
}

async function runMany(count: number) {
  const folder = await temporaryFolder();
  onTestFinished(() => folder.remove());
  const execArgv = [`--max-old-space-size=${maxHeapMb}`, "--expose-gc"];
  const child = startProgram<Said>(program, [folder.database(), String(count)], { execArgv });
  onTestFinished(() => child.kill());
  const said = await child.message(() => true);
  expect(await child.ended).toEqual({ code: 0, signal: null });
  return said;
}

test(
  "thousands of runs on one file, in a heap that holds a few of them",
  { timeout: 480_000 },
  async ({ annotate }) => {
    const few = await runMany(200);
    const many = await runMany(runCount);
    expect(many).toMatchObject({ ended: runCount, counts: { COMPLETED: runCount, FAILED: 0 } });
    // Nothing of a run remains: ten times as many runs leave no more than a few.
    expect(many.heapBytes).toBeLessThan(few.heapBytes + 4 * 1024 * 1024);
    await annotate(JSON.stringify({ runCount, few: few.heapBytes, many: many.heapBytes }));
  },
);
