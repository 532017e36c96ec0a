import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./shop.db" },
  // The store manages its tables. Without this line, `push` drops them.
  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],
});
