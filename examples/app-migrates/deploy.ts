// npm run deploy
//
// Migrates the database: the app's tables from the app's folder, and the workflow tables from the package. Each has its
// own journal.
import { migrate as migrateApp } from "drizzle-orm/libsql/migrator";
import { migrate as migrateStore } from "gorkflow/migrations";
import { openDatabase } from "./database.ts";

const db = openDatabase();
await migrateApp(db, { migrationsFolder: "./drizzle" });
const { applied } = await migrateStore(db);
console.log(`applied: ${applied.join(", ") || "nothing"}`);
db.$client.close();
