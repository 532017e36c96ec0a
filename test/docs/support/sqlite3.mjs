#!/usr/bin/env node
// Replaces the SQLite shell, which may not be installed. As in the shell, foreign keys are off by default, and columns
// are separated by bars.
import Database from "libsql";

const [path, script] = process.argv.slice(2);
const database = new Database(path, { fileMustExist: true });
database.pragma("foreign_keys = off");
for (const sql of script.split(";").filter((part) => part.trim() !== "")) {
  const statement = database.prepare(sql);
  if (!statement.reader) statement.run();
  else for (const row of statement.raw().all()) console.log(row.join("|"));
}
database.close();
