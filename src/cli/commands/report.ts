import { setTimeout as sleep } from "node:timers/promises";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { untilAborted } from "../../async/abort.ts";
import { bucketSizes, type BucketSize } from "../../reports/query/buckets.ts";
import { timeAtLocal, timeZoneSchema } from "../../reports/query/time-zones.ts";
import { createWorkflowTables } from "../../schema/tables.ts";
import { columnsOfReport, reportNames, type ReportName } from "../../reports/named-reports.ts";
import { drawChart } from "../output/charts.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { parseLimit } from "../output/numbers.ts";
import { type JsonOptions, type LinesOptions, shared, type TableOptions } from "../options.ts";
import { clearScreen, print } from "../output/output.ts";
import { printReport, reportFormats, runReport, type ReportFormat } from "../output/reports.ts";
import { parseDuration, parseTime, timeForms } from "../output/times.ts";

interface ReportCommandOptions extends TableOptions, JsonOptions, LinesOptions {
  readonly workflow?: string;
  readonly workflowVersion?: string;
  readonly resource?: string;
  readonly tag?: Readonly<Record<string, string>>;
  readonly since?: string;
  readonly until?: string;
  readonly per: BucketSize;
  readonly zone?: string;
  readonly idle?: number;
  readonly limit: number;
  readonly format?: ReportFormat;
  readonly watch?: number | true;
}

const watchMs = 2000;

export function reportCommand(context: CommandContext): Command {
  return new Command("report")
    .addArgument(new Argument("<name>", "which report").choices(reportNames))
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.workflow())
    .option("--workflow-version <version>", "only runs of this version of the workflow")
    .addOption(shared.resource())
    .addOption(shared.tag())
    .option("--since <time>", `only what happened at that time or later (${timeForms})`, checkTime)
    .option("--until <time>", "only what happened before that time", checkTime)
    .addOption(
      new Option("--per <bucket>", "the size of a bucket of throughput, durations and retries")
        .choices(bucketSizes)
        .default("day"),
    )
    .option("--zone <zone>", "the time zone of buckets, and of times: Europe/Berlin", checkZone)
    .option(
      "--idle <duration>",
      "for stuck: how long a run has not changed (default: 15m)",
      parseDuration,
    )
    .option(
      "-n, --limit <number>",
      "the most rows; reports over time have no limit",
      parseLimit,
      50,
    )
    .addOption(new Option("--format <format>", "how rows are printed").choices(reportFormats))
    .addOption(shared.json().conflicts("format"))
    .addOption(shared.ndjson().conflicts("format"))
    .option(
      "--watch [interval]",
      "print the report again and again (default: every 2s)",
      parseInterval,
    )
    .addHelpText(
      "after",
      `
Times, also those of --since and --until, are in UTC without --zone. Without --since, a report reads all runs, which takes long in a large database. On a
terminal, throughput and retries are also drawn as a chart.

Examples:
  gorkflow report throughput --since 48h --per hour
  gorkflow report throughput --since 90d --per week --zone Europe/Berlin --format csv
  gorkflow report runs --workflow orders --since 7d       how long runs take, in percentiles
  gorkflow report versions --workflow orders              failures and durations of each version
  gorkflow report funnel --workflow orders --since 1d     the steps at which runs stop
  gorkflow report stuck --watch 5s                        RUNNING runs that have not changed, or lost their worker
  gorkflow report step-errors --since 1d --json`,
    )
    .action(async (name: ReportName, options: ReportCommandOptions) => {
      const { per, zone, idle: idleMs, limit, prefix, watch } = options;
      const format =
        options.format ?? (options.json ? "json" : options.ndjson ? "ndjson" : "table");
      const tables = prefix === undefined ? undefined : createWorkflowTables({ prefix });
      await withStore(context, options, async ({ reporting }) => {
        context.endAtOnce();
        for (;;) {
          const window = windowOf(options);
          const given = {
            options: {
              workflowId: options.workflow,
              workflowVersion: options.workflowVersion,
              resourceId: options.resource,
              tags: options.tag,
              ...window,
              tables,
            },
            per,
            zone,
            idleMs,
            limit,
          };
          const rows = await runReport(name, reporting, given);
          if (watch !== undefined) clearScreen();
          if (format === "table" && process.stdout.isTTY) {
            const { columns } = process.stdout;
            const now = new Date();
            const { since, until = now } = window;
            const end = until > now ? now : until;
            const chart = drawChart(name, rows, { per, zone, columns, since, until: end });
            if (chart !== null) print(`${chart}\n`);
          }
          printReport(rows, format, zone, columnsOfReport(name, reporting, given));
          if (watch === undefined) return;
          await untilAborted(context.reading, sleep(watch === true ? watchMs : watch));
        }
      });
    });
}

/** An age such as `1h` is counted from the present. */
function windowOf({ since, until, zone }: ReportCommandOptions) {
  return {
    since: since === undefined ? undefined : timeIn(zone, since),
    until: until === undefined ? undefined : timeIn(zone, until),
  };
}

/** A date without an offset is in the zone. */
function timeIn(zone: string | undefined, text: string): Date {
  const time = parseTime(text);
  const isLocal = /^\d{4}-/.test(text) && !/(Z|[+-]\d\d:\d\d)$/.test(text);
  return isLocal && zone !== undefined ? new Date(timeAtLocal(time.getTime(), zone)) : time;
}

function checkTime(text: string): string {
  parseTime(text);
  return text;
}

function parseInterval(text: string): number {
  const interval = parseDuration(text);
  if (interval >= 1000 && interval <= 86_400_000) return interval;
  throw new InvalidArgumentError("An interval is from 1s to 1d.");
}

function checkZone(text: string): string {
  if (timeZoneSchema.safeParse(text).success) return text;
  throw new InvalidArgumentError("A time zone is an IANA name: Europe/Berlin, UTC.");
}
