import { Command } from "commander";
import type { WorkflowRunSummary } from "../../../schema/rows.ts";
import type { RunPage } from "../../../store/runs.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { parseLimit } from "../../output/numbers.ts";
import {
  addFilterOptions,
  filterOf,
  type FilterOptions,
  type JsonOptions,
  type LinesOptions,
  shared,
  type TableOptions,
} from "../../options.ts";
import { escapedIn, note, print, printJson, printLine, table } from "../../output/output.ts";
import { paintStatus } from "../../output/statuses.ts";
import { formatDuration, formatShare, formatTime } from "../../output/words.ts";

interface ListOptions extends TableOptions, FilterOptions, JsonOptions, LinesOptions {
  readonly limit: number;
  readonly cursor?: string;
  readonly all?: true;
}

export function listCommand(context: CommandContext): Command {
  const command = new Command("list")
    .alias("ls")
    .description("list runs, newest first")
    .addOption(shared.database())
    .addOption(shared.prefix());
  return addFilterOptions(command)
    .option("-n, --limit <number>", "the most runs in a page, up to 1000", parseLimit, 20)
    .option("--cursor <text>", "continue after the page that printed this cursor")
    .option("--all", "print all pages")
    .addOption(shared.json().conflicts("all"))
    .addOption(shared.ndjson())
    .addHelpText(
      "after",
      `
Examples:
  gorkflow runs list --status FAILED --after 24h
  gorkflow runs list --workflow orders --tag country=DE --limit 100
  gorkflow runs list --all --ndjson --before 2026-01-01 | jq -r .runId`,
    )
    .action((options: ListOptions) =>
      withStore(context, options, async (store) => {
        let cursor = options.cursor ?? null;
        do {
          context.reading.throwIfAborted();
          const page = await store.listRuns({
            ...filterOf(options),
            limit: options.limit,
            cursor,
            signal: context.reading,
          });
          show(page, options);
          if (page.corrupt.length > 0) context.foundSomething();
          cursor = page.nextCursor;
        } while (options.all && cursor !== null);
      }),
    );
}

function show(page: RunPage<WorkflowRunSummary>, options: ListOptions): void {
  if (options.json) return printJson(page);
  if (options.ndjson) for (const run of page.runs) printLine(run);
  else print(describe(escapedIn(page.runs)));
  for (const { message } of page.corrupt) note(`not shown: ${escapedIn(message)}`);
  if (options.all) return;
  if (page.nextCursor !== null) note(`older: --cursor ${page.nextCursor}`);
  if (page.prevCursor !== null) note(`newer: --cursor ${page.prevCursor}`);
}

function describe(runs: readonly WorkflowRunSummary[]): string {
  return table(
    ["run", "workflow", "version", "status", "progress", "attempt", "created", "took", "error"],
    runs.map((run) => [
      run.runId,
      run.workflowId,
      run.workflowVersion,
      paintStatus(run.status),
      formatShare(run.progress),
      String(run.attempt),
      formatTime(run.createdAt),
      formatDuration(durationOf(run)),
      describeError(run.error),
    ]),
  );
}

/** The message of an error, or as much of it as a line of the list can have. */
function describeError(error: unknown): string {
  if (error === null) return "";
  const { message } = error as { readonly message?: unknown };
  const text = typeof message === "string" ? message : JSON.stringify(error);
  return text.length > maxErrorLength ? `${text.slice(0, maxErrorLength - 1)}…` : text;
}

const maxErrorLength = 60;

function durationOf({ startedAt, completedAt }: WorkflowRunSummary): number | null {
  if (startedAt === null || completedAt === null) return null;
  return Math.max(0, completedAt.getTime() - startedAt.getTime());
}
