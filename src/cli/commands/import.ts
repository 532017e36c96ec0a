import { statSync } from "node:fs";
import { addAbortSignal } from "node:stream";
import { Command, Option } from "commander";
import type { WriteBundlesOptions } from "../../store/bundles.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { checkFile, storeFile } from "../../transfer/export/export-file.ts";
import {
  importStore,
  type ImportOptions,
  type ImportProgress,
  type ImportReport,
} from "../../transfer/export/import-store.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import {
  databaseOption,
  jsonOption,
  prefixOption,
  type JsonOptions,
  type TableOptions,
} from "../options.ts";
import { print, printJson } from "../output/output.ts";
import { isOnTerminal, runsProgress, withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

interface ImportCommandOptions extends TableOptions, JsonOptions {
  readonly onConflict: WriteBundlesOptions["onConflict"];
}

export function importCommand(context: CommandContext): Command {
  return new Command("import")
    .argument("<file>", "decompressed when its name ends with .gz; - for the standard input")
    .addOption(databaseOption())
    .addOption(prefixOption())
    .addOption(
      new Option("--on-conflict <what>", "what happens to a run that is already there")
        .choices(["fail", "skip", "replace"])
        .default("fail"),
    )
    .addOption(jsonOption())
    .addHelpText(
      "after",
      `
The database is made when it is not there, and brought up to date. A file is checked before anything is stored; the
standard input cannot be. Each run is stored entirely or not at all: an import that was interrupted goes on with
--on-conflict skip.

Examples:
  gorkflow import backup.ndjson.gz --database file:./restored.db
  gorkflow import backup.ndjson.gz --on-conflict skip
  gzip -dc backup.ndjson.gz | gorkflow import -`,
    )
    .action(async (file: string, { onConflict, ...options }: ImportCommandOptions) => {
      context.onInterruption("the same command with --on-conflict skip goes on");
      const quiet = options.json === true;
      const importOptions = { onConflict, signal: context.signal };
      // Before the database, which may have to be made: nobody makes one for a file that is no export.
      const size = file === "-" ? null : await checkedSize(file, context.signal, quiet);
      const report = await withStore(
        context,
        options,
        (store) =>
          file === "-"
            ? importInput(store, importOptions, quiet)
            : importContent(store, { file, size }, importOptions, quiet),
        { access: "create" },
      );
      if (report.unreadable.length > 0) context.foundSomething();
      if (options.json) return printJson(report);
      const { written, skipped, replaced, unreadable } = report;
      print(
        `${formatCount(written)} runs imported, ${formatCount(skipped)} skipped, ${formatCount(replaced)} replaced`,
      );
      if (unreadable.length > 0) {
        print(`${unreadable.length} run(s) are not in the export: they could not be read`);
      }
    });
}

type ChosenOptions = Required<Pick<ImportOptions, "onConflict">> & { readonly signal: AbortSignal };

/**
 * Looks at the whole file first, and returns its size. A pipe that has a name can be read but once, like the standard
 * input: its size is null.
 */
async function checkedSize(
  file: string,
  signal: AbortSignal,
  quiet: boolean,
): Promise<number | null> {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isFIFO() === true) return null;
  const total = found?.size ?? 0;
  const checking = { total, describe: () => "checked", quiet: quiet || !isOnTerminal() };
  await withProgress(checking, (update) => checkFile(file, { signal, onRead: update }));
  return total;
}

const runsIn = ({ written, skipped, replaced }: ImportProgress) => written + skipped + replaced;

/** Nobody knows how much will come. */
function importInput(
  store: WorkflowStore,
  options: ChosenOptions,
  quiet: boolean,
): Promise<ImportReport> {
  const input = addAbortSignal(options.signal, process.stdin);
  return withProgress(runsProgress(null, { quiet }), (update) =>
    importStore(store, input, { ...options, onProgress: (progress) => update(runsIn(progress)) }),
  );
}

/** How far it is, is how much of the file has been read: how many runs are in it is known at its end only. */
function importContent(
  store: WorkflowStore,
  { file, size }: { readonly file: string; readonly size: number | null },
  options: ChosenOptions,
  quiet: boolean,
): Promise<ImportReport> {
  let [read, runs] = [0, 0];
  const describe = () => `${formatCount(runs)} runs`;
  return withProgress({ total: size, describe, quiet }, (update) => {
    const onProgress = (progress: ImportProgress) => {
      runs = runsIn(progress);
      update(size === null ? runs : read);
    };
    return storeFile(store, file, { ...options, onProgress }, (bytes) => (read = bytes));
  });
}
