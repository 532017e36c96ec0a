import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const parcels = sqliteTable("parcels", {
  parcelId: text("parcel_id").primaryKey(),
  weightKg: integer("weight_kg").notNull(),
  /** The run that ships the parcel. */
  runId: text("run_id").notNull().unique(),
});
