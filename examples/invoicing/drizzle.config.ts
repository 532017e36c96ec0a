import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  casing: "snake_case",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./invoices.db" },
  // Only `push` uses this filter. Without it, `push` would rebuild the workflow tables statement by statement, which
  // can delete the steps of runs. With it, `push` fails.
  tablesFilter: ["!workflow_*", "!step_*"],
});
