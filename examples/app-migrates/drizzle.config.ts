import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./members.db" },
  // The package has the migrations of the workflow tables. Without this line, `push` drops the tables.
  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],
});
