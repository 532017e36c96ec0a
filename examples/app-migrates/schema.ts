import { sqliteTable, text } from "drizzle-orm/sqlite-core";

export const members = sqliteTable("members", {
  email: text("email").primaryKey(),
  name: text("name").notNull(),
});

/** Sent letters. Only the workflow prevents a second letter to the same member. */
export const letters = sqliteTable("letters", {
  email: text("email")
    .notNull()
    .references(() => members.email),
  subject: text("subject").notNull(),
});
