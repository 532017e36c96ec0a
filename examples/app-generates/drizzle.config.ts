import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./invoices.db" },
  // `generate` and `migrate` do not look at this line. `push` would rebuild the workflow tables, statement by
  // statement, and may lose what belongs to a run; with it, `push` refuses where they are.
  tablesFilter: ["!workflow_*", "!step_*"],
});
