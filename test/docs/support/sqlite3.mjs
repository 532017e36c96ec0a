#!/usr/bin/env node
// Stands in for the shell of SQLite, which need not be installed: foreign keys are off until they are asked for, and
// columns have bars between them.
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
