import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const orders = sqliteTable("orders", {
  orderId: text("order_id").primaryKey(),
  item: text("item").notNull(),
  quantity: integer("quantity").notNull(),
  /** The run that takes care of the order. No foreign key: the table is the store's, and runs are pruned. */
  runId: text("run_id").notNull(),
});
