import { writeFile } from "node:fs/promises";
import { expect, onTestFinished } from "vitest";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { test } from "../support/fixtures.ts";
import { databases, openStore } from "./support/stores.ts";

let program: string;
test.beforeAll(async () => {
  program = await compileProgram(`${import.meta.dirname}/programs/paused-worker.ts`);
});

interface Said {
  readonly began?: string;
  readonly ended?: string;
}

const patience = { timeout: 30_000 };

test.for(databases)(
  "on %s, a worker that was blocked for longer than its lease changes nothing of the run, and works on",
  async ([, makeUrl], { folder }) => {
    const url = await makeUrl();
    const store = await openStore(url);
    const start = (workerId: string, path: string) => {
      const worker = startProgram<Said>(program, [url, workerId, "500", path]);
      onTestFinished(() => worker.kill());
      return worker;
    };
    const statusOf = async (runId: string) => (await store.getRun(runId)).status;
    const { runId } = await store.createRun({ workflowId: "w" });
    const proceed = `${folder.path}/proceed`;
    const blocked = start("blocked", proceed);
    await blocked.message(({ began }) => began === runId);
    const heir = start("heir", program);
    await expect.poll(() => statusOf(runId), patience).toBe("COMPLETED");
    const run = await store.getRun(runId);
    expect(run).toMatchObject({ output: "heir", workerId: "heir", attempt: 2 });
    await heir.kill();

    await writeFile(proceed, "");
    // The heartbeat may have been faster than the step. Then the step's signal aborts.
    const { ended } = await blocked.message((said) => said.ended !== undefined);
    expect(ended).toBe("LEASE_LOST");
    expect(await store.getAllState(runId)).toEqual({ signature: "heir" });
    expect(await store.getRun(runId)).toEqual(run);
    const next = await store.createRun({ workflowId: "w" });
    await expect.poll(() => statusOf(next.runId), patience).toBe("COMPLETED");
    expect(await store.getRun(next.runId)).toMatchObject({ output: "blocked", attempt: 1 });
  },
);
