import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./shop.db" },
  // The store's tables are not this app's to change. Without this line, `push` drops them.
  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],
});
