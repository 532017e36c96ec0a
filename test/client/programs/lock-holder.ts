// Holds the write lock of a file for some milliseconds, with the bare binding.
import Database from "libsql";

const [path = "", holdMs = "400"] = process.argv.slice(2);
const database = new Database(path, { timeout: 5000 });
database.exec("begin immediate");
database.exec("insert into entries (id, half) values ('holder', 0)");
process.send?.({ held: true });
setTimeout(() => {
  database.exec("commit");
  database.close();
  process.disconnect?.();
}, Number(holdMs));
