// npm run deploy
//
// Brings the database to the schema of this release: the app's tables by the app's folder, the store's by the one
// that the package ships. Each has a journal of its own, so neither stands in the way of the other.
import { migrate as migrateApp } from "drizzle-orm/libsql/migrator";
import { migrate as migrateStore } from "gorkflow/migrations";
import { openDatabase } from "./database.ts";

const db = openDatabase();
await migrateApp(db, { migrationsFolder: "./drizzle" });
const { applied } = await migrateStore(db);
console.log(`applied: ${applied.join(", ") || "nothing"}`);
db.$client.close();
