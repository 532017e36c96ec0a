import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/workflow-builder.ts";
import { openStore } from "../../src/open-store.ts";
import { compareStores, copyStore, MirroredStore } from "../../src/transfer/index.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { givenRun, givenRuns } from "./support/given-runs.ts";

let folder: TemporaryFolder;
let server: Sqld;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startSqld();
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
});

const double = defineStep({
  id: "double",
  input: z.number(),
  output: z.number(),
  run: (n) => n * 2,
});
const workflow = defineWorkflow({ id: "live", version: "1" }).step(double).build();

describe("a move from a file to a server, as docs/moving.md has it", () => {
  test("loses nothing and fails nothing, while writers and an engine go on all the time", async () => {
    const file = await openStore(folder.database());
    await givenRuns(file, 300);
    const target = await openStore(server.httpUrl);
    const store = new MirroredStore(file, target);

    let moving = true;
    const acknowledged: string[] = [];
    const answeredBy = new Set<unknown>();
    const write = async (writer: number) => {
      for (let n = writer; moving; n += 10) {
        await givenRun(store, n);
        acknowledged.push(`run-${String(n).padStart(6, "0")}`);
        await store.saveState("run-000002", `writer-${writer}`, n);
        if (n % 3 === 0) await store.deleteRun(acknowledged.shift() ?? "");
        answeredBy.add(store.answering);
        await sleep(20);
      }
    };
    const engine = new Engine(store);
    engine.register(workflow);
    const outputs: unknown[] = [];
    const work = async () => {
      for (let n = 0; moving; n++) {
        const run = await engine.run(workflow, n);
        outputs.push(run.output === n * 2);
        await sleep(20);
      }
    };
    const all = [1000, 1001, 1002].map(write);
    all.push(work());

    await copyStore(file, target, { resume: true });
    // The server is down for a while: nobody but the mirror notices.
    await server.restart();
    const { pausedMs } = await store.switchOver({ maxPauseMs: 30_000 });
    await sleep(100);
    moving = false;
    await Promise.all(all);
    await engine.close();

    expect(answeredBy).toEqual(new Set([file, target]));
    expect(pausedMs).toBeGreaterThan(0);
    expect(outputs.length).toBeGreaterThan(0);
    expect(new Set(outputs)).toEqual(new Set([true]));
    await store.drain();
    expect(store.divergence()).toMatchObject({ failedRuns: [], missedChanges: 0 });
    expect(await compareStores(file, target)).toMatchObject({ equal: true });
    const found = await Promise.all(
      acknowledged.map(async (runId) => (await target.getRun(runId)).runId),
    );
    expect(found).toEqual(acknowledged);
    await store.close();
  });
});
