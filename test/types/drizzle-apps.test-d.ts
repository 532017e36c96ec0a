// What an app on Drizzle sees of the tables: relations, its own types of JSON, prefixes.
import type { Client } from "@libsql/client";
import { relations } from "drizzle-orm";
import type { LibSQLDatabase } from "drizzle-orm/libsql";
import { sqliteTable, text } from "drizzle-orm/sqlite-core";
import { expectTypeOf } from "vitest";
import {
  createWorkflowRelations,
  createWorkflowTables,
  schema,
  workflowRuns,
} from "../../src/schema/index.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";

interface Trace {
  readonly traceId: string;
}
type Labels = Record<"customer" | "country", string>;

const orders = sqliteTable("orders", {
  orderId: text("order_id").primaryKey(),
  runId: text("run_id").references(() => workflowRuns.runId),
});
const ordersRelations = relations(orders, ({ one }) => ({
  run: one(workflowRuns, { fields: [orders.runId], references: [workflowRuns.runId] }),
}));
const appSchema = { ...schema, orders, ordersRelations };

// An app's relations go through ours, to the steps of its run.
declare const db: LibSQLDatabase<typeof appSchema> & { $client: Client };
const ordersWithRuns = db.query.orders.findMany({
  with: { run: { with: { steps: { columns: { stepId: true, status: true } } } } },
});
type OrderWithRun = Awaited<typeof ordersWithRuns>[number];
expectTypeOf<NonNullable<OrderWithRun["run"]>["steps"][number]["status"]>().toEqualTypeOf<
  typeof schema.stepExecutions.$inferSelect.status
>();

// JSON has the types that the app says it has; what it does not say stays unknown.
const typed = createWorkflowTables().$type<{ Tags: Labels; Context: Trace; State: number }>();
expectTypeOf(typed).toEqualTypeOf(
  createWorkflowTables<{ Tags: Labels; Context: Trace; State: number }>(),
);
type TypedRun = typeof typed.workflowRuns.$inferSelect;
expectTypeOf<TypedRun["tags"]>().toEqualTypeOf<Labels | null>();
expectTypeOf<TypedRun["context"]>().toEqualTypeOf<Trace | null>();
expectTypeOf<TypedRun["input"]>().toEqualTypeOf<unknown>();
expectTypeOf<typeof typed.workflowState.$inferSelect.value>().toEqualTypeOf<number>();

// @ts-expect-error tags are an object of strings
createWorkflowTables().$type<{ Tags: { n: number } }>();
// @ts-expect-error there is no such kind of JSON
createWorkflowTables().$type<{ Label: string }>();

// With both, relational queries keep the names and the types.
const prefixed = createWorkflowTables({ prefix: "app_" }).$type<{
  Context: Trace;
  Input: { readonly n: number };
}>();
const prefixedSchema = { ...prefixed, ...createWorkflowRelations(prefixed) };
declare const prefixedDb: LibSQLDatabase<typeof prefixedSchema> & { $client: Client };
const runsWithSteps = prefixedDb.query.workflowRuns.findMany({
  with: { steps: true, state: true },
});
type RunWithSteps = Awaited<typeof runsWithSteps>[number];
expectTypeOf<RunWithSteps["context"]>().toEqualTypeOf<Trace | null>();
expectTypeOf<RunWithSteps["steps"][number]["stepId"]>().toEqualTypeOf<string>();
// @ts-expect-error there is no such relation
void prefixedDb.query.workflowRuns.findMany({ with: { orders: true } });

// A store takes them, and the app's own database.
expectTypeOf(new LibSQLStore(prefixedDb, { tables: prefixed }).db).toEqualTypeOf(prefixedDb);
expectTypeOf(new LibSQLStore(db, { tables: typed }).db).toEqualTypeOf(db);

// The types of its JSON reach what the store returns and takes.
const typedStore = new LibSQLStore(prefixedDb, { tables: prefixed });
expectTypeOf((await typedStore.getRun("r")).input).toEqualTypeOf<{ readonly n: number } | null>();
expectTypeOf((await typedStore.listRuns({ payloads: true })).runs)
  .items.toHaveProperty("context")
  .toEqualTypeOf<Trace | null>();
expectTypeOf((await typedStore.getRun("r")).output).toBeUnknown();
void typedStore.createRun({ workflowId: "w", input: { n: 1 } });
// @ts-expect-error an input has a number
void typedStore.createRun({ workflowId: "w", input: { n: "1" } });
expectTypeOf(await typedStore.getRuns(["r"]))
  .items.toHaveProperty("context")
  .toEqualTypeOf<Trace | null>();
const openedStore = await LibSQLStore.open({ url: "file:./w.db", tables: typed });
expectTypeOf((await openedStore.getRun("r")).tags).toEqualTypeOf<Labels | null>();
expectTypeOf((await new LibSQLStore(db).getRun("r")).input).toBeUnknown();

// A store with its own types is still a store, and an engine takes it.
const anyStore: WorkflowStore = typedStore;
void new Engine(anyStore);
void new Engine(typedStore);
