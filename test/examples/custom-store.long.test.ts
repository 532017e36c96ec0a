import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openJournalStore } from "../../examples/custom-store/journal-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

describeWorkflowStore({
  name: "the journal store",
  open: async ({ clock }) => {
    const folder = await temporaryFolder();
    const store = await openJournalStore(join(folder.path, "workflows.ndjson"), { clock });
    return { store, dispose: () => folder.remove() };
  },
});

let folder: TemporaryFolder;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, "workflows.ndjson");
});
afterEach(() => folder.remove());

test("acknowledged writes exist when the file is opened again", async () => {
  const store = await openJournalStore(path);
  const { runId } = await store.createRun({ workflowId: "w", input: { a: "ü" } });
  await store.createStepExecution({ runId, stepId: "s" });
  await store.batch((write) => {
    write.saveStepOutput(runId, "s", { b: [1, null] });
    write.saveState(runId, "k", true);
    write.createRun({ workflowId: "w" });
  });
  const { runId: gone } = await store.createRun({ workflowId: "w" });
  await store.deleteRun(gone);
  await store.pauseWorkflow("w", { reason: "r" });
  await store.pauseWorkflow("v");
  await store.resumeWorkflow("v");
  const before = await store.readBundles();
  const pauses = await store.listPausedWorkflows();
  expect(before.bundles).toHaveLength(2);
  expect(pauses).toHaveLength(1);
  await store.close();

  const again = await openJournalStore(path);
  expect(await again.readBundles()).toEqual(before);
  expect(await again.listPausedWorkflows()).toEqual(pauses);
  await again.close();
});

test("a line that a crash cut off is ignored, and all others are kept", async () => {
  const store = await openJournalStore(path);
  await store.createRun({ runId: "kept", workflowId: "w" });
  await store.close();
  const [line = ""] = (await readFile(path, "utf8")).split("\n");
  await appendFile(path, line.replace("kept", "torn").slice(0, -10));

  const again = await openJournalStore(path);
  expect((await again.listRuns()).runs.map(({ runId }) => runId)).toEqual(["kept"]);
  await again.updateRun("kept", { status: "COMPLETED" });
  await again.close();
  const third = await openJournalStore(path);
  expect((await third.getRun("kept")).status).toBe("COMPLETED");
  await third.close();
});
