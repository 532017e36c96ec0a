import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import type { RunProgress } from "../../src/engine/run-watch.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { databases, fileUrl, openStore } from "./support/stores.ts";

let worker: string;
let watcher: string;
beforeAll(async () => {
  const programs = `${import.meta.dirname}/programs`;
  [worker, watcher] = await Promise.all([
    compileProgram(`${programs}/gated-worker.ts`),
    compileProgram(`${programs}/watcher.ts`),
  ]);
});

interface Said {
  readonly began: "first" | "second" | "third";
}

function startWorker(url: string, workerId: string) {
  const program = startProgram<Said>(worker, [url, workerId, "1000"]);
  onTestFinished(() => program.kill());
  return {
    ...program,
    reaches: (step: Said["began"]) => program.message(({ began }) => began === step),
  };
}

const brief = (progress: RunProgress): string =>
  progress.kind === "run"
    ? `${progress.status} of ${progress.workerId}, claim ${progress.attempt}: ${progress.progress.toFixed(2)}`
    : `${progress.stepId} ${progress.status}`;

test.each(databases)(
  "on %s, a watch follows a run through the death of its worker to its end in another process",
  async (_, makeUrl) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const engine = new Engine(store);
    onTestFinished(() => engine.close());
    const { runId } = await store.createRun({ workflowId: "gated", input: 1 });
    const lines: string[] = [];
    const listeners = new Set<() => void>();
    const watching = (async () => {
      for await (const progress of engine.watch(runId)) {
        lines.push(brief(progress));
        for (const listener of listeners) listener();
      }
    })();
    const seen = (line: string) =>
      new Promise<void>((resolve) => {
        const look = (): void => void (lines.includes(line) && resolve());
        listeners.add(look);
        look();
      });

    const doomed = startWorker(url, "doomed");
    await doomed.reaches("first");
    await seen("RUNNING of doomed, claim 1: 0.00");
    doomed.send("go on");
    await doomed.reaches("second");
    await seen("RUNNING of doomed, claim 1: 0.33");
    await doomed.kill();
    const heir = startWorker(url, "heir");
    await heir.reaches("second");
    await seen("RUNNING of heir, claim 2: 0.33");
    heir.send("go on");
    await heir.reaches("third");
    await seen("RUNNING of heir, claim 2: 0.67");
    heir.send("go on");
    await watching;

    expect(lines.filter((line) => line !== "first RUNNING")).toEqual([
      "PENDING of null, claim 0: 0.00",
      "RUNNING of doomed, claim 1: 0.00",
      "first COMPLETED",
      "second RUNNING",
      "RUNNING of doomed, claim 1: 0.33",
      "RUNNING of heir, claim 2: 0.33",
      "second COMPLETED",
      "third RUNNING",
      "RUNNING of heir, claim 2: 0.67",
      "third COMPLETED",
      "COMPLETED of heir, claim 2: 1.00",
    ]);
    expect(heir.messages).toEqual([{ began: "second" }, { began: "third" }]);
  },
);

describe("a process that stops watching can end", () => {
  test.each([
    ["break", []],
    ["abort", [{ ended: "Error: enough" }]],
    ["return", [{ ended: { done: true, value: undefined } }]],
  ])("by %s", async (way, messages) => {
    const url = await fileUrl();
    const { runId } = await (await openStore(url)).createRun({ workflowId: "w" });
    const program = startProgram(watcher, [url, runId, way]);
    onTestFinished(() => program.kill());
    expect(await program.ended).toEqual({ code: 0, signal: null });
    expect(program.messages).toEqual(messages);
  });
});
