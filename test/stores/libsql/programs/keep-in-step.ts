import { LibSQLStore } from "../../../../src/stores/libsql/libsql-store.ts";

const [url = ""] = process.argv.slice(2);
const runId = "r";
const store = await LibSQLStore.open(url);
process.send?.("began");
// The run, its step, its output and its state have one number, and change it together.
for (let n = 1; ; n++) {
  await store.batch((write) => {
    write.updateRun(runId, { progress: n / 1e9 });
    write.updateStepExecution(runId, "s", { input: n });
    write.saveStepOutput(runId, "s", n);
    write.saveState(runId, "n", n);
  });
}
