import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const orders = sqliteTable("orders", {
  orderId: text("order_id").primaryKey(),
  item: text("item").notNull(),
  quantity: integer("quantity").notNull(),
  /** The run of the order. Not a foreign key, because the store owns that table and runs are pruned. */
  runId: text("run_id").notNull(),
});
