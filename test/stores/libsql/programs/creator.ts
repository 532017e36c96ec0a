// Creates runs in a file and says which were acknowledged. Arguments: url, prefix of the ids, how many.
import { LibSQLStore } from "../../../../src/stores/libsql/libsql-store.ts";

const [url = "", prefix = "", count = "0"] = process.argv.slice(2);
const store = await LibSQLStore.open(url);
await Promise.all(
  Array.from({ length: 10 }, async (_, lane) => {
    for (let n = lane; n < Number(count); n += 10) {
      const runId = `${prefix}-${n}`;
      await store.createRun({ runId, workflowId: "w" });
      await store.batch((write) => {
        write.updateRun(runId, { status: "RUNNING" });
        write.createStepExecution({ runId, stepId: "s" });
      });
      process.send?.({ acknowledged: runId });
    }
  }),
);
await store.close();
process.disconnect?.();
