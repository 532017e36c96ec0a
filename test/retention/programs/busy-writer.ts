// Writes all the time with the bare binding, and lets the lock go for a few ms only. Argument: the path of a file.
import Database from "libsql";

const [path = ""] = process.argv.slice(2);
const database = new Database(path, { timeout: 5000 });
const cell = new Int32Array(new SharedArrayBuffer(4));
database.exec("create table if not exists busy (x)");
process.send?.("on");
for (;;) {
  try {
    database.exec("begin immediate; insert into busy values (1)");
    Atomics.wait(cell, 0, 0, 20);
    database.exec("commit");
  } catch {
    // The other has the lock.
  }
  Atomics.wait(cell, 0, 0, 2);
}
