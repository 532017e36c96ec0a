import { Command } from "commander";
import { doctor } from "../../migrations/doctor/doctor.ts";
import type { DoctorFinding } from "../../migrations/doctor/findings.ts";
import { createWorkflowTables } from "../../schema/tables.ts";
import type { CommandContext } from "../context.ts";
import { withClient } from "../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { colors, escaped, print, printJson } from "../output/output.ts";

export function doctorCommand(context: CommandContext): Command {
  return new Command("doctor")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Changes nothing. Warnings do not affect the stores or the exit code. Each finding says what to do: generate a migration;
run the statement that it prints, for a missing table or index; or export all runs and import them into a new database.

Examples:
  gorkflow doctor --database file:./workflows.db
  gorkflow doctor --prefix app_            if your own drizzle-kit created the tables
  gorkflow doctor --json | jq '.findings[].remedy'`,
    )
    .action(async ({ prefix, json, ...options }: TableOptions & JsonOptions) => {
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      const { healthy, findings } = await withClient(context, options, "look", (client) =>
        doctor(client, { tables }),
      );
      if (!healthy) context.foundSomething();
      if (json) return printJson({ healthy, findings });
      for (const finding of findings) print(describe(finding));
      print(summarize(findings));
    });
}

function describe({ severity, code, message, remedy }: DoctorFinding): string {
  const paint = severity === "error" ? colors.red : colors.yellow;
  return `${paint(severity)} ${colors.dim(code)} ${escaped(message)}\n  ${escaped(remedy)}`;
}

function summarize(findings: readonly DoctorFinding[]): string {
  if (findings.length === 0) return colors.green("the database matches the schema");
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return `${errors} error(s), ${findings.length - errors} warning(s)`;
}
