/**
 * What a step costs in a run of 100, 1,000 and 10,000 of them, and what it costs another worker to take a run up in
 * its middle: both should not depend on how many steps there are. From the root: `npx tsx bench/engine-steps.ts`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  defineStep,
  defineWorkflow,
  Engine,
  LibSQLStore,
  MemoryStore,
  type Workflow,
  type WorkflowBuilder,
  type WorkflowStore,
} from "../src/index.ts";
import { z } from "zod";

const lengths = [100, 1000, 10_000];
const takeovers = 20;

const noOp = (): void => {};
const plusOne = (id: string) =>
  defineStep({ id, input: z.number(), output: z.number(), run: (value) => value + 1 });

/** Steps in a row. The worker closes while one of `stops` is under way, and leaves the rest to another. */
function chain(length: number, stops: ReadonlyMap<number, () => void>): Workflow<number, number> {
  let builder: WorkflowBuilder<number, number> = defineWorkflow({ id: "chain" }).step(plusOne("0"));
  for (let index = 1; index < length; index++) {
    const stop = stops.get(index);
    const id = String(index);
    builder = builder.step(
      stop === undefined
        ? plusOne(id)
        : defineStep({
            id,
            input: z.number(),
            output: z.number(),
            run: (value) => {
              stop();
              return value + 1;
            },
          }),
    );
  }
  return builder.build();
}

async function runThrough(store: WorkflowStore, length: number): Promise<number> {
  const workflow = chain(length, new Map());
  const engine = new Engine(store);
  const before = performance.now();
  const { output } = await engine.run(workflow, 0);
  const took = performance.now() - before;
  await engine.close();
  if (output !== length) throw new Error(`a run of ${length} steps came to ${String(output)}`);
  return (took * 1000) / length;
}

/** From the end of one worker to the first step of the next, on average. */
async function takeOver(store: WorkflowStore, length: number): Promise<number> {
  const stops = new Map<number, () => void>();
  const stopped = { notify: noOp };
  for (let index = 1; index <= takeovers; index++) {
    stops.set(Math.floor((index * length) / (takeovers + 1)), () => stopped.notify());
  }
  const workflow = chain(length, stops);
  const starter = new Engine(store);
  const runId = await starter.start(workflow, 0);
  let took = 0;
  for (let takeover = 0; takeover <= takeovers; takeover++) {
    const engine = new Engine(store);
    engine.register(workflow);
    const before = performance.now();
    const begun = new Promise<void>((resolve) => {
      engine.on("step.started", () => resolve());
    });
    const isStopped = new Promise<void>((resolve) => {
      stopped.notify = resolve;
    });
    const working = engine.work();
    await begun;
    if (takeover > 0) took += performance.now() - before;
    await Promise.race([isStopped, engine.wait(runId)]);
    await engine.close();
    await working;
  }
  await starter.close();
  const { status, output } = await store.getRun(runId);
  if (status !== "COMPLETED" || output !== length) throw new Error(`the run is ${status}`);
  return (took * 1000) / takeovers;
}

async function withFile<T>(work: (store: WorkflowStore) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "gorkflow-bench-"));
  const url = `file:${join(folder, "workflows.db")}`;
  const store = await LibSQLStore.open({ url, durability: "normal" });
  try {
    return await work(store);
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

const places: readonly [string, <T>(work: (store: WorkflowStore) => Promise<T>) => Promise<T>][] = [
  ["memory", (work) => work(new MemoryStore())],
  ["a file, durability normal", withFile],
];

for (const [place, open] of places) {
  // What is compiled when it is first used is not what is measured.
  await open((store) => runThrough(store, 1000));
  for (const length of lengths) {
    const perStep = await open((store) => runThrough(store, length));
    const perTakeover = await open((store) => takeOver(store, length));
    console.log(
      `${place}: ${length} steps, ${perStep.toFixed(1)} µs a step, ${perTakeover.toFixed(0)} µs to take the run up`,
    );
  }
}
