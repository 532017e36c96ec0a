import type { Client } from "@libsql/client";
import { Command, Option } from "commander";
import { doctor, repairScript } from "../../migrations/doctor.ts";
import type { DoctorFinding } from "../../migrations/findings.ts";
import { createWorkflowTables, type WorkflowTables } from "../../schema/tables.ts";
import type { CommandContext } from "../context.ts";
import { withClient } from "../database.ts";
import {
  databaseOption,
  jsonOption,
  prefixOption,
  type JsonOptions,
  type TableOptions,
} from "../options.ts";
import { colors, print, printJson } from "../output.ts";

interface DoctorOptions extends TableOptions, JsonOptions {
  readonly sql?: true;
}

export function doctorCommand(context: CommandContext): Command {
  return new Command("doctor")
    .description("compare a live database with the schema; exit code 1 when something is wrong")
    .addOption(databaseOption())
    .addOption(prefixOption())
    .addOption(
      new Option(
        "--sql",
        "print SQL that makes the errors in the tables good, keeping every row; then the exit code is 0",
      ),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
It changes nothing. Warnings do no harm to the stores, and do not change the exit code.

Examples:
  gorkflow doctor --database file:./workflows.db
  gorkflow doctor --prefix app_            your own drizzle-kit made the tables
  gorkflow doctor --json | jq '.findings[].remedy'
  gorkflow doctor --sql > repair.sql       read it, take a backup, and apply it: sqlite3 -bail app.db < repair.sql`,
    )
    .action(({ prefix, ...options }: DoctorOptions) => {
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      return withClient(context, options, "refuse", (client) =>
        options.sql ? showSql(client, tables, options) : report(context, client, tables, options),
      );
    });
}

async function report(
  context: CommandContext,
  client: Client,
  tables: WorkflowTables | undefined,
  { json }: JsonOptions,
): Promise<void> {
  const { healthy, findings } = await doctor(client, { tables });
  if (!healthy) context.foundSomething();
  if (json) return printJson({ healthy, findings });
  for (const finding of findings) print(describe(finding));
  print(summarize(findings));
}

async function showSql(
  client: Client,
  tables: WorkflowTables | undefined,
  { json }: JsonOptions,
): Promise<void> {
  const sql = await repairScript(client, { tables });
  if (json) return printJson({ sql });
  print(sql.trimEnd() || "-- nothing that SQL makes good; gorkflow doctor says what there is");
}

function describe({ severity, code, message, remedy }: DoctorFinding): string {
  const paint = severity === "error" ? colors.red : colors.yellow;
  return `${paint(severity)} ${colors.dim(code)} ${message}\n  ${remedy}`;
}

function summarize(findings: readonly DoctorFinding[]): string {
  if (findings.length === 0) return colors.green("the database is as the schema has it");
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return `${errors} error(s), ${findings.length - errors} warning(s)`;
}
