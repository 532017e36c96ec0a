// npm start, or in Bun: npm run start:bun
//
// Stores a parcel and the run that ships it in one transaction of the app, and runs it on the same connection.
import { openDatabase } from "#database";
import { eq, sql } from "drizzle-orm";
import { Engine, SQLiteStore } from "gorkflow";
import { migrate } from "gorkflow/migrations";
import { workflowRuns } from "gorkflow/schema";
import { parcels } from "./schema.ts";
import { shipParcel } from "./workflow.ts";

const db = openDatabase(process.env["DATABASE_FILE"] ?? "parcels.db");
await migrate(db);
db.run(
  sql`create table if not exists parcels (parcel_id text primary key, weight_kg integer not null, run_id text not null unique)`,
);
const store = new SQLiteStore(db);
const engine = new Engine(store).register(shipParcel);

const [parcelId, runId] = [crypto.randomUUID(), crypto.randomUUID()];
const input = { parcelId, weightKg: 3 };
// Transactions of this driver are synchronous. The store's builders take part in them by `run()`.
db.transaction((tx) => {
  tx.insert(parcels)
    .values({ ...input, runId })
    .run();
  store.statements.createRun({ runId, workflowId: "ship-parcel", input }).run();
  store.statements.guard().run();
});
const { output } = await engine.wait(shipParcel, runId);

const shipped = db
  .select({ weightKg: parcels.weightKg, status: workflowRuns.status })
  .from(parcels)
  .innerJoin(workflowRuns, eq(workflowRuns.runId, parcels.runId))
  .where(eq(parcels.parcelId, parcelId))
  .all();
console.log(JSON.stringify({ label: output?.replace(parcelId, "parcel"), shipped }));

await engine.close();
await store.close();
db.$client.close();
