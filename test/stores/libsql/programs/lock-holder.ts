// Holds the write lock of a file until it is told to let go, with the bare binding.
import Database from "libsql";

const [path = ""] = process.argv.slice(2);
const database = new Database(path, { timeout: 5000 });
database.exec("begin immediate");
process.once("message", () => {
  database.exec("commit");
  database.close();
  process.disconnect();
});
process.send?.({ held: true });
