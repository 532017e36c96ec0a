import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { openStore } from "../../src/open-store.ts";
import { compareStores, copyStore, MirroredStore } from "../../src/transfer/index.ts";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { compileProgram, startProgram, type Program } from "../support/child-processes.ts";
import { test } from "../support/fixtures.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import type { TemporaryFolder } from "../support/temporary.ts";
import { givenRun, givenRuns } from "./support/given-runs.ts";

let folder: TemporaryFolder;
let server: Sqld;
test.beforeAll(({ sharedFolder, server: own }) => {
  folder = sharedFolder;
  server = own;
});

const double = defineStep({
  id: "double",
  input: z.number(),
  output: z.number(),
  run: (n) => n * 2,
});
const workflow = defineWorkflow({ id: "live", version: "1" }).step(double).build();

describe("a move from a file to a server, as in docs/moving.md", () => {
  test("loses no write and fails no call while writers and an engine continue", async () => {
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
    const before = acknowledged.length;
    await server.restart();
    await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(before);
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
    // The restart may lose the answer to a copy. One copy runs at a time.
    const { failedRuns, missedChanges } = store.divergence();
    expect(failedRuns).toEqual([]);
    expect(missedChanges).toBeLessThanOrEqual(1);
    expect(await compareStores(file, target)).toMatchObject({ equal: true });
    await store.resync();
    expect(store.divergence()).toMatchObject({ failedRuns: [], missedChanges: 0 });
    const found = await Promise.all(
      acknowledged.map(async (runId) => (await target.getRun(runId)).runId),
    );
    expect(found).toEqual(acknowledged);
    await store.close();
  });
});

const kills = Number(process.env["MOVE_KILLS"] ?? 3);

interface Said {
  readonly written?: string;
  readonly deleting?: string;
  readonly copied?: boolean;
  readonly switched?: boolean;
}

test(`a move that is killed ${kills} times, before the switch and after it, loses nothing that was acknowledged`, async () => {
  const program = await compileProgram(`${import.meta.dirname}/programs/mover.ts`);
  const other = await startSqld();
  const fileUrl = folder.database("killed.db");
  await makeBulkRuns(fileUrl, 300);
  const record = `${folder.path}/moved`;
  const written = new Set<string>();
  const processes: Program<Said>[] = [];
  const start = () => {
    const mover = startProgram<Said>(program, [
      fileUrl,
      other.httpUrl,
      record,
      `${processes.length}`,
    ]);
    processes.push(mover);
    return mover;
  };
  const heard = ({ messages }: Program<Said>) => {
    for (const said of messages) {
      if (said.written !== undefined) written.add(said.written);
      // It may be gone, or not: nobody has heard what became of it.
      if (said.deleting !== undefined) written.delete(said.deleting);
    }
  };

  // At any point of the copy, of the switch, and after it.
  const moments: ((said: Said) => boolean)[] = [
    ({ written: runId }) => runId !== undefined,
    ({ copied }) => copied === true,
    ({ switched }) => switched === true,
  ];
  for (let kill = 0; kill < kills; kill++) {
    const mover = start();
    await mover.message(moments[Math.floor((kill * moments.length) / kills)] ?? (() => true));
    await sleep(Math.random() * 100);
    await mover.kill();
    heard(mover);
  }
  expect(existsSync(record)).toBe(true);
  const last = start();
  await last.message(({ switched }) => switched === true);
  await last.message(({ written: runId }) => runId?.endsWith("-20") === true);
  last.send({ stop: true });
  expect(await last.ended).toEqual({ code: 0, signal: null });
  heard(last);

  const [file, target] = [await openStore(fileUrl), await openStore(other.httpUrl)];
  expect(await compareStores(file, target)).toMatchObject({ equal: true });
  expect(written.size).toBeGreaterThan(kills);
  const found: string[] = [];
  for (const runId of written) {
    const [run, n] = [await target.getRun(runId), await target.loadState(runId, "n")];
    if ((run.input as { n: unknown }).n === n) found.push(runId);
  }
  expect(found).toEqual([...written]);
  expect((await target.stats()).rows.workflowRuns).toBeGreaterThan(300);
  await file.close();
  await target.close();
  await other.stop();
});
