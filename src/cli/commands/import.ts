import { addAbortSignal } from "node:stream";
import { Command, Option } from "commander";
import type { WriteBundlesOptions } from "../../store/bundles.ts";
import { importFile } from "../../transfer/export-file.ts";
import { importStore, type ImportOptions } from "../../transfer/import-store.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import {
  databaseOption,
  jsonOption,
  prefixOption,
  type JsonOptions,
  type TableOptions,
} from "../options.ts";
import { print, printJson } from "../output.ts";
import { withProgress } from "../progress.ts";
import { formatCount } from "../words.ts";

interface ImportCommandOptions extends TableOptions, JsonOptions {
  readonly onConflict: WriteBundlesOptions["onConflict"];
}

export function importCommand(context: CommandContext): Command {
  return new Command("import")
    .description("store the runs of an export")
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
      const report = await withStore(
        context,
        options,
        (store) =>
          withProgress({ unit: "runs", total: null, quiet }, (update) => {
            const importOptions: ImportOptions = {
              onConflict,
              signal: context.signal,
              onProgress: ({ written, skipped, replaced }) => update(written + skipped + replaced),
            };
            return file === "-"
              ? importStore(store, addAbortSignal(context.signal, process.stdin), importOptions)
              : importFile(store, file, importOptions);
          }),
        { missing: "create" },
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
