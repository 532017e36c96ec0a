// Creates runs for some seconds and prints how many were acknowledged. Arguments: subject, file, writers, seconds.
import { Database } from "../libsql.ts";
import { v7 as uuidv7 } from "uuid";
import { LibSQLStore } from "../../dist/index.js";
import { payload } from "../subjects.ts";

const [subject, path = "", writers, seconds] = process.argv.slice(2);
const deadline = performance.now() + Number(seconds) * 1000;
const input = payload(100);
let acknowledged = 0;

if (subject === "floor") {
  const database = new Database(path, { timeout: 30_000 });
  database.exec("pragma synchronous = full; pragma foreign_keys = on");
  const insert = database.prepare(
    `insert into workflow_runs (run_id, workflow_id, workflow_version, status, progress, input, attempt, revision,
      created_at, updated_at) values (?, 'bench', '1', 'PENDING', 0, ?, 0, 1, ?, ?)`,
  );
  while (performance.now() < deadline) {
    const now = Date.now();
    insert.run([uuidv7(), JSON.stringify(input), now, now]);
    acknowledged += 1;
  }
  database.close();
} else {
  const store = await LibSQLStore.open({ url: `file:${path}`, busyTimeoutMs: 30_000 });
  const writeOn = async () => {
    while (performance.now() < deadline) {
      await store.createRun({ workflowId: "bench", input });
      acknowledged += 1;
    }
  };
  await Promise.all(Array.from({ length: Number(writers) }, writeOn));
  await store.close();
}
process.stdout.write(String(acknowledged));
