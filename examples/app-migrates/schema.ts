import { sqliteTable, text } from "drizzle-orm/sqlite-core";

export const members = sqliteTable("members", {
  email: text("email").primaryKey(),
  name: text("name").notNull(),
});

/** Letters that were sent. Nothing but the workflow keeps a member from getting one twice. */
export const letters = sqliteTable("letters", {
  email: text("email")
    .notNull()
    .references(() => members.email),
  subject: text("subject").notNull(),
});
