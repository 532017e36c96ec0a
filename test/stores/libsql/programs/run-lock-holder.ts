// Holds the write lock of a store's file for some milliseconds, with the bare binding.
import Database from "libsql";

const [path = "", holdMs = "400"] = process.argv.slice(2);
const database = new Database(path, { timeout: 5000 });
database.exec("begin immediate");
database.exec(
  "insert into workflow_runs (run_id, workflow_id, created_at, updated_at) values ('holder', 'w', 1, 1)",
);
process.send?.({ held: true });
setTimeout(() => {
  database.exec("commit");
  database.close();
  process.disconnect?.();
}, Number(holdMs));
