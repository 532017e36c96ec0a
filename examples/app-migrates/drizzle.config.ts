import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./drizzle",
  dbCredentials: { url: process.env["DATABASE_URL"] ?? "file:./members.db" },
  // The package generates the migrations of its tables: this app generates none for them, and
  // without this line `push` drops them.
  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],
});
