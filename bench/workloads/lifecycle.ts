import { OpenWorkflow } from "openworkflow";
import { z } from "zod";
import { defineStep, defineWorkflow, Engine } from "../../dist/index.js";
import { expectRows, rounded, type Section } from "../section.ts";
import { openOpenWorkflow, openOurs, type Durability } from "../subjects.ts";

const rounds = 5;
/** A worker runs for days: what is measured is one that has run a while, on both sides. */
const warmUps = 4;
const works = [
  { concurrency: 1, runs: 20 },
  { concurrency: 10, runs: 200 },
  { concurrency: 100, runs: 400 },
];

/** Takes `runs` runs of four steps from their start to their stored end. */
interface LifecycleSubject {
  readonly name: string;
  complete(runs: number): Promise<void>;
  /** Ends it, and gives how many of its runs are stored as completed. */
  end(): Promise<number>;
}

const step = (id: string) =>
  defineStep({ id, input: z.number(), output: z.number(), run: (value) => value + 1 });
const workflow = defineWorkflow({ id: "bench", version: "1" })
  .step(step("a"))
  .step(step("b"))
  .step(step("c"))
  .step(step("d"))
  .build();

async function openEngine(concurrency: number, durability: Durability): Promise<LifecycleSubject> {
  const { store } = await openOurs(durability);
  const engine = new Engine(store, { concurrency });
  engine.register(workflow);
  return {
    name: "gorkflow",
    async complete(runs) {
      const ids = await Promise.all(Array.from({ length: runs }, () => engine.start(workflow, 1)));
      const ended = await Promise.all(ids.map((id) => engine.wait(id)));
      for (const { output } of ended) if (output !== 5) throw new Error("a run has not added up");
    },
    async end() {
      await engine.close();
      const { COMPLETED } = await store.countRuns();
      await store.close();
      return COMPLETED;
    },
  };
}

async function openOthersEngine(concurrency: number): Promise<LifecycleSubject> {
  const { backend } = await openOpenWorkflow();
  const client = new OpenWorkflow({ backend });
  let last: (() => void) | null = null;
  const runnable = client.defineWorkflow<number, number>(
    { name: "bench" },
    async ({ input, step: steps }) => {
      let value = input;
      for (const name of ["a", "b", "c", "d"]) {
        value = await steps.run({ name }, async () => value + 1);
      }
      last?.();
      return value;
    },
  );
  const worker = client.newWorker({ concurrency });
  await worker.start();
  let started = 0;
  const completed = async () => (await backend.countWorkflowRuns()).completed;
  return {
    name: "openworkflow",
    async complete(runs) {
      started += runs;
      let left = runs;
      const lastStepsDone = new Promise<void>((resolve) => {
        last = () => {
          left -= 1;
          if (left === 0) resolve();
        };
      });
      await Promise.all(Array.from({ length: runs }, () => runnable.run(1)));
      await lastStepsDone;
      // Its own handles look once a second; looking at the store ends the measurement when the runs have.
      while ((await completed()) < started) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    async end() {
      await worker.stop();
      const count = await completed();
      await backend.stop();
      return count;
    },
  };
}

export async function run(): Promise<Section> {
  const rows: string[][] = [];
  const targets: Section["targets"][number][] = [];
  for (const { concurrency, runs } of works) {
    const subjects = [await openOthersEngine(concurrency), await openEngine(concurrency, "full")];
    const msPerRun = subjects.map((): number[] => []);
    for (let round = 0; round < warmUps + rounds; round++) {
      for (const [index, subject] of subjects.entries()) {
        const startedAt = performance.now();
        if (concurrency === 1) for (let nth = 0; nth < runs; nth++) await subject.complete(1);
        else await subject.complete(runs);
        if (round >= warmUps) msPerRun[index]?.push((performance.now() - startedAt) / runs);
      }
    }
    const medians = msPerRun.map((each) => each.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]);
    const [others = Number.NaN, ours = Number.NaN] = medians;
    for (const [index, subject] of subjects.entries()) {
      const median = medians[index] ?? Number.NaN;
      expectRows(subject.name, await subject.end(), runs * (warmUps + rounds));
      rows.push([
        subject.name,
        String(concurrency),
        rounded(1000 / median),
        `${(others / median).toFixed(1)}×`,
      ]);
    }
    if (concurrency === 10) continue;
    targets.push({
      what: `a 4-step run against openworkflow at concurrency ${concurrency}: rate`,
      bound: "at least",
      value: concurrency === 1 ? 1.5 : 10,
      unit: "×",
      measured: others / ours,
    });
  }
  return {
    title: "Runs of four steps",
    how: `From \`start\` to the stored end, ${rounds} rounds after ${warmUps} to warm up, median; durability full on both sides; at concurrency 1 each run is started when the one before has ended. Completed runs were counted at the end.`,
    header: ["subject", "concurrency", "runs a second", "against openworkflow"],
    rows,
    targets,
  };
}
