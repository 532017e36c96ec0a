// npm run deploy && npm start
//
// Welcomes a member, on a database that `npm run deploy` has migrated.
import { eq } from "drizzle-orm";
import { Engine, LibSQLStore, SchemaOutOfDateError } from "gorkflow";
import { openDatabase } from "./database.ts";
import { letters } from "./schema.ts";
import { welcomeMember } from "./workflow.ts";

const db = openDatabase();
const store = new LibSQLStore(db);
const engine = new Engine(store);
try {
  const email = `${crypto.randomUUID()}@example.com`;
  const run = await engine.run(welcomeMember, { email, name: "Ada" });
  const received = await db
    .select({ subject: letters.subject })
    .from(letters)
    .where(eq(letters.email, email));
  console.log(JSON.stringify({ status: run.status, received }));
} catch (error) {
  if (!(error instanceof SchemaOutOfDateError)) throw error;
  // The store never migrates the app's database. The message says what to run.
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await engine.close();
  db.$client.close();
}
