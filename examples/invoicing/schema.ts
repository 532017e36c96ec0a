import { relations } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { workflowRuns } from "gorkflow/schema";

// The workflow tables are part of this schema, so `drizzle-kit generate` writes their migrations. The app's own columns are
// named by `casing: "snake_case"`.
export * from "gorkflow/schema";

export const customers = sqliteTable("customers", {
  customerId: text().primaryKey(),
  fullName: text().notNull(),
  emailAddress: text().notNull().unique(),
});

export const addresses = sqliteTable("addresses", {
  addressId: text().primaryKey(),
  customerId: text()
    .notNull()
    .references(() => customers.customerId, { onDelete: "cascade" }),
  countryCode: text({ length: 2 }).notNull(),
});

export const products = sqliteTable("products", {
  productId: text().primaryKey(),
  displayName: text().notNull(),
  unitPrice: integer().notNull(),
});

export const invoices = sqliteTable("invoices", {
  invoiceId: text().primaryKey(),
  cents: integer().notNull(),
  /** The run that collects the invoice. Pruning the run keeps the invoice. */
  runId: text().references(() => workflowRuns.runId, { onDelete: "set null" }),
  customerId: text().references(() => customers.customerId),
});

export const invoiceLines = sqliteTable(
  "invoice_lines",
  {
    invoiceId: text()
      .notNull()
      .references(() => invoices.invoiceId, { onDelete: "cascade" }),
    lineNumber: integer().notNull(),
    productId: text()
      .notNull()
      .references(() => products.productId),
    quantity: integer().notNull().default(1),
  },
  (line) => [primaryKey({ columns: [line.invoiceId, line.lineNumber] })],
);

export const payments = sqliteTable("payments", {
  paymentId: text().primaryKey(),
  invoiceId: text()
    .notNull()
    .references(() => invoices.invoiceId),
  amount: integer().notNull(),
  receivedAt: integer({ mode: "timestamp_ms" })
    .notNull()
    .$defaultFn(() => new Date()),
});

export const ledgerEntries = sqliteTable("ledger_entries", {
  entryId: integer().primaryKey({ autoIncrement: true }),
  paymentId: text()
    .notNull()
    .references(() => payments.paymentId),
  accountName: text().notNull(),
  amount: integer().notNull(),
});

export const reminders = sqliteTable("reminders", {
  reminderId: integer().primaryKey({ autoIncrement: true }),
  invoiceId: text()
    .notNull()
    .references(() => invoices.invoiceId, { onDelete: "cascade" }),
  sentTo: text().notNull(),
});

export const customersRelations = relations(customers, ({ many }) => ({
  addresses: many(addresses),
  invoices: many(invoices),
}));

export const addressesRelations = relations(addresses, ({ one }) => ({
  customer: one(customers, {
    fields: [addresses.customerId],
    references: [customers.customerId],
  }),
}));

export const invoicesRelations = relations(invoices, ({ one, many }) => ({
  run: one(workflowRuns, { fields: [invoices.runId], references: [workflowRuns.runId] }),
  customer: one(customers, { fields: [invoices.customerId], references: [customers.customerId] }),
  lines: many(invoiceLines),
  payments: many(payments),
  reminders: many(reminders),
}));

export const invoiceLinesRelations = relations(invoiceLines, ({ one }) => ({
  invoice: one(invoices, {
    fields: [invoiceLines.invoiceId],
    references: [invoices.invoiceId],
  }),
  product: one(products, { fields: [invoiceLines.productId], references: [products.productId] }),
}));

export const paymentsRelations = relations(payments, ({ one, many }) => ({
  invoice: one(invoices, { fields: [payments.invoiceId], references: [invoices.invoiceId] }),
  entries: many(ledgerEntries),
}));

export const ledgerEntriesRelations = relations(ledgerEntries, ({ one }) => ({
  payment: one(payments, {
    fields: [ledgerEntries.paymentId],
    references: [payments.paymentId],
  }),
}));

export const remindersRelations = relations(reminders, ({ one }) => ({
  invoice: one(invoices, { fields: [reminders.invoiceId], references: [invoices.invoiceId] }),
}));
