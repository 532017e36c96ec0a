import { Command, Option } from "commander";
import type { PruneReport } from "../../model/retention.ts";
import { finalRunStatuses } from "../../model/transitions.ts";
import type { RunStatus } from "../../statuses.ts";
import type { LibSQLStore } from "../../stores/libsql/libsql-store.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { parseCount } from "../output/numbers.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { print, printJson, table } from "../output/output.ts";
import { countOf, withProgress } from "../output/progress.ts";
import { parseTime, timeForms } from "../output/times.ts";
import { formatBytes, formatCount } from "../output/words.ts";

interface PruneOptions extends TableOptions, JsonOptions {
  readonly olderThan: Date;
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly keepLast?: number;
  readonly batchSize?: number;
  readonly dryRun?: true;
}

export function pruneCommand(context: CommandContext): Command {
  return new Command("prune")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(
      new Option("--older-than <time>", `only runs that ended before that time (${timeForms})`)
        .argParser(parseTime)
        .makeOptionMandatory(),
    )
    .addOption(shared.workflow())
    .addOption(shared.status())
    .option(
      "--keep-last <number>",
      "keep this many of the newest runs of each workflow, whatever their age",
      parseCount,
    )
    .option("--batch-size <number>", "runs deleted in one transaction (default: 100)", parseCount)
    .option("--dry-run", "count what would be deleted, and change nothing")
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Deletes only finished runs (COMPLETED, FAILED, CANCELLED), unless --status names another status. Runs that were deleted
before an interruption stay deleted.

Examples:
  gorkflow prune --older-than 90d --dry-run
  gorkflow prune --older-than 90d --keep-last 100
  gorkflow prune --older-than 2026-01-01 --workflow orders --status COMPLETED`,
    )
    .action(async (options: PruneOptions) => {
      const { olderThan, status: statuses, workflow: workflowId, keepLast, batchSize } = options;
      const policy = {
        olderThan,
        statuses,
        workflowId,
        keepLast,
        batchSize,
        signal: context.signal,
      };
      const access = options.dryRun ? "look" : "change";
      const prune = async (store: LibSQLStore) => {
        if (options.dryRun) return store.pruneRuns({ ...policy, dryRun: true });
        // An upper limit. A dry run would count exactly, but takes half as long as the prune.
        const total = await countOf(store, {
          status: statuses ?? finalRunStatuses,
          workflowId,
          createdBefore: olderThan,
        });
        return withProgress({ total, atMost: true, options }, (update) =>
          store.pruneRuns({ ...policy, onProgress: ({ deletedRuns }) => update(deletedRuns) }),
        );
      };
      const report = await withStore(context, options, prune, { access });
      if (options.json) printJson(report);
      else print(describe(report));
    });
}

function describe(report: PruneReport): string {
  return [
    report.dryRun ? "would be deleted (dry run)" : "deleted",
    table(
      ["", ""],
      [
        ["runs", formatCount(report.deletedRuns)],
        ["steps", formatCount(report.deletedStepExecutions)],
        ["attempts", formatCount(report.deletedStepAttempts)],
        ["outputs", formatCount(report.deletedStepOutputs)],
        ["state values", formatCount(report.deletedState)],
        ["rows without a run", formatCount(report.deletedOrphans)],
        ...(report.refusedRuns === 0
          ? []
          : [["runs kept by a constraint of another table", formatCount(report.refusedRuns)]]),
        ["bytes", formatBytes(report.deletedBytes)],
        ...(report.dryRun ? [] : [["bytes freed", formatBytes(report.freedBytes)]]),
        ["remaining runs", formatCount(report.remainingRuns)],
      ],
    ).trimStart(),
  ].join("\n");
}
