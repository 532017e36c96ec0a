import { Argument, Command, Option } from "commander";
import { createWorkflowTables } from "../../schema/tables.ts";
import { drawThroughput } from "../output/charts.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { parseLimit } from "../output/numbers.ts";
import { type JsonOptions, type LinesOptions, shared, type TableOptions } from "../options.ts";
import { print, printJson, printLine } from "../output/output.ts";
import { drawReport, runReport, reportNames, type ReportName } from "../output/reports.ts";
import { parseDuration, parseTime, timeForms } from "../output/times.ts";

interface ReportCommandOptions extends TableOptions, JsonOptions, LinesOptions {
  readonly workflow?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly per: "hour" | "day";
  readonly idle?: number;
  readonly limit: number;
}

export function reportCommand(context: CommandContext): Command {
  return new Command("report")
    .addArgument(new Argument("<name>", "which report").choices(reportNames))
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.workflow())
    .option("--since <time>", `only what happened at that time or later (${timeForms})`, parseTime)
    .option("--until <time>", "only what happened before that time", parseTime)
    .addOption(
      new Option("--per <bucket>", "the size of a bucket of throughput")
        .choices(["hour", "day"])
        .default("day"),
    )
    .option(
      "--idle <duration>",
      "for stuck: how long a run has not changed (default: 15m)",
      parseDuration,
    )
    .option("-n, --limit <number>", "the most rows; throughput has no limit", parseLimit, 50)
    .addOption(shared.json())
    .addOption(shared.ndjson())
    .addHelpText(
      "after",
      `
Times are in UTC. Without --since, a report reads all runs, which takes long in a large database. On a terminal,
throughput is also drawn as a chart.

Examples:
  gorkflow report throughput --since 48h --per hour
  gorkflow report runs --workflow orders --since 7d       how long runs take, in percentiles
  gorkflow report stuck                                   RUNNING runs that have not changed, or lost their worker
  gorkflow report step-errors --since 1d --json`,
    )
    .action(async (name: ReportName, options: ReportCommandOptions) => {
      const { workflow: workflowId, since, until, per, idle: idleMs, limit, prefix } = options;
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      const rows = await withStore(context, options, ({ reporting }) => {
        context.endAtOnce();
        const window = { workflowId, since, until, tables };
        return runReport(name, reporting, { options: window, per, idleMs, limit });
      });
      if (options.json) return printJson(rows);
      if (options.ndjson) {
        for (const row of rows) printLine(row);
        return;
      }
      if (rows.length === 0) return print("nothing to report");
      if (name === "throughput" && process.stdout.isTTY) {
        const { columns } = process.stdout;
        const now = new Date();
        const end = until === undefined || until > now ? now : until;
        const chart = drawThroughput(rows, { per, columns, since, until: end });
        if (chart !== null) print(`${chart}\n`);
      }
      print(drawReport(rows));
    });
}
