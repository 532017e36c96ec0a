import { addAbortSignal, type Readable } from "node:stream";
import { Command } from "commander";
import { Engine } from "../../../engine/engine.ts";
import { RunNotFoundError, UnsupportedError, type GorkflowError } from "../../../errors.ts";
import type { BulkOptions, BulkReport } from "../../../model/bulk-changes.ts";
import type { RunFilter } from "../../../model/run-queries.ts";
import type { LibSQLStore } from "../../../stores/libsql/libsql-store.ts";
import { isRefusal } from "../../../transfer/refusals.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { CommandError } from "../../errors.ts";
import { exitCodes } from "../../exit-codes.ts";
import {
  addFilterOptions,
  filterOf,
  type FilterOptions,
  type JsonOptions,
  shared,
  type TableOptions,
} from "../../options.ts";
import { escaped, note, print, printJson } from "../../output/output.ts";
import { withProgress } from "../../output/progress.ts";
import { formatCount } from "../../output/words.ts";

export function cancelCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "cancel",
    description: "cancel runs: no further step starts, and active steps are aborted",
    done: "cancelled",
    change: ({ engine }, runId) => engine.cancel(runId),
    // The store refuses other statuses.
    changeAll: ({ engine }, filter, options) =>
      engine.cancelRuns(filter as RunFilter<"PENDING">, options),
    help: `
A process that executes such a run notices within a quarter of its lease. Cancelling a cancelled run is not an error;
cancelling a COMPLETED or FAILED run is. A filter selects PENDING and RUNNING runs.

Examples:
  gorkflow runs cancel 0198c0de-0000-7000-8000-000000000000
  gorkflow runs cancel -- --an-id-that-looks-like-an-option
  gorkflow runs cancel --status PENDING --workflow orders --dry-run
  gorkflow runs cancel - < run-ids.txt`,
  });
}

export function retryCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "retry",
    description: "make FAILED or CANCELLED runs PENDING again, for the next worker",
    done: "pending",
    change: ({ engine }, runId, { from }) => engine.retry(runId, { fromStep: from }),
    addOptions: (command) =>
      command.option("--from <step>", "also repeat this step and those after it"),
    changeAll: ({ store }, filter, options) =>
      store.reopenRuns(filter as RunFilter<"FAILED">, options),
    help: `
A run continues with the steps that failed or were cancelled; they get all their retries again. Completed steps do not
run again. The command itself executes nothing: a worker does. A filter selects FAILED and CANCELLED runs.

With --from, the named step and those that \`runs show\` lists after it run again as if for the first time, also of COMPLETED
runs: their outputs and attempts are deleted. The values that they stored as state stay. It needs ids of runs.

Examples:
  gorkflow runs retry 0198c0de-0000-7000-8000-000000000000
  gorkflow runs retry 0198c0de-0000-7000-8000-000000000000 --from charge
  gorkflow runs retry --status FAILED --after 1h`,
  });
}

export function deleteCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "delete",
    description: "delete runs with their steps, attempts, outputs and state",
    done: "deleted",
    async change({ store }, runId) {
      if (!(await store.deleteRun(runId))) throw new RunNotFoundError({ runId });
    },
    changeAll: ({ store }, filter, options) => store.deleteRuns(filter, options),
    help: `
A filter selects COMPLETED, FAILED and CANCELLED runs, unless --status names another status. gorkflow prune deletes by
age, and returns the space to the file system.

Examples:
  gorkflow runs delete 0198c0de-0000-7000-8000-000000000000
  gorkflow runs delete --workflow orders --tag country=DE --dry-run`,
  });
}

interface Target {
  readonly engine: Engine;
  readonly store: LibSQLStore;
}

interface RunChange {
  readonly name: string;
  readonly description: string;
  readonly help: string;
  /** The word that is printed for each run: `cancelled <run>`. */
  readonly done: string;
  change(target: Target, runId: string, options: ChangeOptions): Promise<void>;
  addOptions?(command: Command): void;
  changeAll(target: Target, filter: RunFilter, options: BulkOptions): Promise<BulkReport>;
}

interface ChangeOptions extends TableOptions, FilterOptions, JsonOptions {
  readonly all?: true;
  readonly dryRun?: true;
  /** An option of `retry`. */
  readonly from?: string;
}

/** A command that changes the runs with the given ids, or all runs that match a filter. */
function changeCommand(context: CommandContext, change: RunChange): Command {
  const command = new Command(change.name)
    .description(change.description)
    .argument("[run...]", "ids of the runs; - reads ids from standard input, one per line")
    .addOption(shared.database())
    .addOption(shared.prefix());
  change.addOptions?.(command);
  return addFilterOptions(command)
    .option("--all", "all runs that the command can change, without a filter")
    .option("--dry-run", "count the runs that match, and change nothing")
    .addOption(shared.json())
    .addHelpText("after", change.help)
    .action(async (ids: readonly string[], { database, prefix, ...options }: ChangeOptions) => {
      const filter = filterOf(options);
      const isFiltered = Object.values(filter).some((condition) => condition !== undefined);
      const ways = [ids.length > 0, isFiltered, options.all].filter(Boolean).length;
      if (ways !== 1) {
        throw misuse(change, "name runs by their ids, or select them with a filter or with --all");
      }
      if (options.dryRun && ids.length > 0) {
        throw misuse(change, "--dry-run is for a filter or --all, not for ids of runs");
      }
      if (options.from !== undefined && ids.length === 0) {
        throw misuse(change, "--from needs ids of runs, not a filter or --all");
      }
      const use = async (store: LibSQLStore): Promise<void> => {
        const engine = new Engine(store);
        try {
          if (ids.length > 0) await changeNamed(context, change, { engine, store }, ids, options);
          else await changeMatching(context, change, { engine, store }, filter, options);
        } finally {
          await engine.close();
        }
      };
      const access = options.dryRun ? "look" : "change";
      await withStore(context, { database, prefix } as TableOptions, use, { access });
    });
}

function misuse({ name }: RunChange, message: string): CommandError {
  const remedy = `gorkflow runs ${name} --help shows examples`;
  return new CommandError({ code: "USAGE", message, remedy, exitCode: exitCodes.usage });
}

/** Changes runs one after the other. Continues after a run that cannot be changed. */
async function changeNamed(
  context: CommandContext,
  { done, change }: RunChange,
  target: Target,
  ids: readonly string[],
  options: ChangeOptions,
): Promise<void> {
  const { json } = options;
  const changed: string[] = [];
  const failed: { runId: string; code: string; message: string }[] = [];
  // A second change of a run would fail.
  const seen = new Set<string>();
  try {
    for await (const runId of idsOf(ids, context.signal)) {
      context.signal.throwIfAborted();
      if (seen.has(runId)) continue;
      seen.add(runId);
      try {
        await change(target, runId, options);
        changed.push(runId);
        if (!json) print(`${done} ${escaped(runId)}`);
      } catch (error) {
        if (!isOfOneRun(error)) throw error;
        failed.push({ runId, code: error.code, message: error.message });
        if (!json) note(`not ${done}: ${escaped(error.message)}`);
      }
    }
  } finally {
    // Also printed if the command fails: these runs have been changed.
    if (json) printJson({ [done]: changed, failed });
  }
  if (failed.length > 0) context.foundSomething();
}

/** Changes all runs that match, in batches. If it fails, it prints first how many runs it has changed. */
async function changeMatching(
  context: CommandContext,
  { done, changeAll }: RunChange,
  target: Target,
  filter: RunFilter,
  { json, dryRun }: ChangeOptions,
): Promise<void> {
  const { signal } = context;
  const planned = await changeAll(target, filter, { dryRun: true, signal });
  const progress = { total: planned.changedRuns, atMost: true, options: json ? { json } : {} };
  let report: BulkReport = dryRun ? planned : { ...planned, dryRun: false, changedRuns: 0 };
  try {
    if (dryRun) return;
    report = await withProgress(progress, (update) =>
      changeAll(target, filter, {
        signal,
        onProgress({ changedRuns }) {
          report = { ...report, changedRuns };
          update(changedRuns);
        },
      }),
    );
  } finally {
    if (report.refusedRuns > 0) context.foundSomething();
    showReport(report, done, json === true);
  }
}

function showReport(report: BulkReport, done: string, json: boolean): void {
  const { dryRun, changedRuns, refusedRuns } = report;
  const refused = report.refused.map(({ runId, error: { code, message } }) => {
    return { runId, code, message };
  });
  if (json) return printJson({ ...report, refused });
  const count = `${formatCount(changedRuns)} ${changedRuns === 1 ? "run" : "runs"}`;
  print(dryRun ? `would be ${done}: ${count} (dry run)` : `${done}: ${count}`);
  for (const { message } of refused) note(`not ${done}: ${escaped(message)}`);
  const others = refusedRuns - refused.length;
  if (others > 0) note(`not ${done}: ${formatCount(others)} other runs`);
}

async function* idsOf(given: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  for (const runId of new Set(given)) {
    if (runId === "-") yield* idsOfInput(addAbortSignal(signal, process.stdin));
    else yield runId;
  }
}

/** The lines of standard input. `node:readline` would split an id at a carriage return. */
async function* idsOfInput(input: Readable): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of input.setEncoding("utf8")) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines.map((line) => line.replace(/\r$/, "")).filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}

/** False for an error that the next run would meet as well. */
function isOfOneRun(error: unknown): error is GorkflowError {
  return isRefusal(error) && !(error instanceof UnsupportedError);
}
