// An app's own tables: under a prefix, with its own types of JSON, with relations to and from its own.
import { getTableName, relations } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { LibSQLStore } from "gorkflow";
import { createClient } from "gorkflow/client";
import { migrate } from "gorkflow/migrations";
import { createWorkflowRelations, createWorkflowTables } from "gorkflow/schema";

interface Trace {
  readonly traceId: string;
}
type Labels = Record<"customer", string>;

export const tables = createWorkflowTables({ prefix: "app_" }).$type<{
  Tags: Labels;
  Context: Trace;
  Input: { readonly n: number };
  State: number;
}>();

const parcels = sqliteTable("parcels", {
  parcelId: text("parcel_id").primaryKey(),
  runId: text("run_id").references(() => tables.workflowRuns.runId),
});

export const appSchema = {
  ...tables,
  ...createWorkflowRelations(tables),
  parcels,
  parcelsRelations: relations(parcels, ({ one }) => ({
    run: one(tables.workflowRuns, {
      fields: [parcels.runId],
      references: [tables.workflowRuns.runId],
    }),
  })),
};

/** What the compiler takes the app's words for. */
export async function useOwnTables(url: string) {
  const client = createClient(url);
  const db = drizzle({ client, schema: appSchema });
  await client.execute("create table parcels (parcel_id text primary key, run_id text)");
  // An app's drizzle-kit makes them; here they only have to be there.
  await migrate(client);
  for (const table of Object.values(tables).map(getTableName)) {
    await client.execute(`alter table ${table.slice("app_".length)} rename to ${table}`);
  }

  const store = new LibSQLStore(db, { tables });
  const { runId } = await store.createRun({
    workflowId: "ship",
    input: { n: 1 },
    tags: { customer: "acme" },
    context: { traceId: "t" },
  });
  await store.createStepExecution({ runId, stepId: "pack" });
  await store.saveState(runId, "weight", 12);
  await db.insert(parcels).values({ parcelId: "p", runId });

  const [run] = await db.query.workflowRuns.findMany({
    columns: { tags: true, context: true, input: true },
    with: { steps: { columns: { stepId: true } }, state: true },
  });
  const customer: string | undefined = run?.tags?.customer;
  const traceId: string | undefined = run?.context?.traceId;
  const n: number | undefined = run?.input?.n;
  const weights: number[] = (run?.state ?? []).map(({ value }) => value);
  const steps: string[] = (run?.steps ?? []).map(({ stepId }) => stepId);
  const parcel = await db.query.parcels.findFirst({ with: { run: true } });
  const ofParcel: string | undefined = parcel?.run?.tags?.customer;
  client.close();
  return { customer, traceId, n, weights, steps, ofParcel };
}
