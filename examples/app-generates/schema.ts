import { relations } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { workflowRuns } from "gorkflow/schema";

// The workflow tables are part of this schema, so `drizzle-kit generate` writes their migrations.
export * from "gorkflow/schema";

export const invoices = sqliteTable("invoices", {
  invoiceId: text("invoice_id").primaryKey(),
  cents: integer("cents").notNull(),
  /** The run that collects the invoice. Pruning the run keeps the invoice. */
  runId: text("run_id").references(() => workflowRuns.runId, { onDelete: "set null" }),
});

export const invoicesRelations = relations(invoices, ({ one }) => ({
  run: one(workflowRuns, { fields: [invoices.runId], references: [workflowRuns.runId] }),
}));
