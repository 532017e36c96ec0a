import { Command } from "commander";
import { doctor, type DoctorFinding } from "../../migrations/doctor.ts";
import { createWorkflowTables } from "../../schema/tables.ts";
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

export function doctorCommand(context: CommandContext): Command {
  return new Command("doctor")
    .description("compare a live database with the schema; exit code 1 when something is wrong")
    .addOption(databaseOption())
    .addOption(prefixOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
It changes nothing. Warnings do no harm to the stores, and do not change the exit code.

Examples:
  gorkflow doctor --database file:./workflows.db
  gorkflow doctor --prefix app_            your own drizzle-kit made the tables
  gorkflow doctor --json | jq '.findings[].remedy'`,
    )
    .action(async (options: TableOptions & JsonOptions) => {
      const { prefix } = options;
      const report = await withClient(context, options, "refuse", (client) =>
        doctor(client, prefix === undefined ? {} : { tables: createWorkflowTables({ prefix }) }),
      );
      if (!report.healthy) context.foundSomething();
      if (options.json) return printJson(report);
      for (const finding of report.findings) print(describe(finding));
      print(summarize(report.findings));
    });
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
