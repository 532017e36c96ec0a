import { Command } from "commander";
import { createWorkflowTables } from "../../schema/tables.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { parseLimit } from "../output/numbers.ts";
import { type JsonOptions, type LinesOptions, shared, type TableOptions } from "../options.ts";
import { printReport, runReport } from "../output/reports.ts";

interface WorkersOptions extends TableOptions, JsonOptions, LinesOptions {
  readonly workflow?: string;
  readonly limit: number;
}

export function workersCommand(context: CommandContext): Command {
  return new Command("workers")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.workflow())
    .option("-n, --limit <number>", "the most workers", parseLimit, 1000)
    .addOption(shared.json())
    .addOption(shared.ndjson())
    .addHelpText(
      "after",
      `
A worker is known by the runs that it holds: one without work is not listed. If all its leases have expired, it is gone
or hangs, and another worker continues its runs. \`gorkflow report queue\` shows what waits for workers.

Examples:
  gorkflow workers
  gorkflow workers --workflow orders --json`,
    )
    .action(async (options: WorkersOptions) => {
      const { prefix, workflow: workflowId, limit } = options;
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      const rows = await withStore(context, options, ({ reporting }) => {
        context.endAtOnce();
        const given = { options: { workflowId, tables }, per: "day", idleMs: undefined } as const;
        return runReport("workers", reporting, { ...given, limit });
      });
      printReport(rows, options.json ? "json" : options.ndjson ? "ndjson" : "table");
    });
}
