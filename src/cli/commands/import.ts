import { addAbortSignal } from "node:stream";
import { Command, Option } from "commander";
import type { WriteBundlesOptions } from "../../store/bundles.ts";
import { checkFile, storeFile } from "../../transfer/export/export-file.ts";
import { importStore, type ImportProgress } from "../../transfer/export/import-store.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { escaped, note, print, printJson } from "../output/output.ts";
import { isOnTerminal, withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

interface ImportCommandOptions extends TableOptions, JsonOptions {
  readonly onConflict: WriteBundlesOptions["onConflict"];
}

export function importCommand(context: CommandContext): Command {
  return new Command("import")
    .argument("<file>", "an export; decompressed if its name ends with .gz; - reads standard input")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(
      new Option("--on-conflict <what>", "what happens to a run that exists already")
        .choices(["fail", "skip", "replace"])
        .default("fail"),
    )
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
The database is created if it does not exist, and migrated if it is out of date. A file is checked before anything is
stored; standard input cannot be checked. Each run is stored entirely or not at all: run an interrupted import again with
--on-conflict skip to continue it.

Examples:
  gorkflow import backup.ndjson.gz --database file:./restored.db
  gorkflow import backup.ndjson.gz --on-conflict skip
  gzip -dc backup.ndjson.gz | gorkflow import -`,
    )
    .action(async (file: string, { onConflict, ...options }: ImportCommandOptions) => {
      context.onInterruption("run the same command with --on-conflict skip to continue");
      const { signal } = context;
      const isInput = file === "-" || file === "/dev/stdin";
      if (!isInput && !options.json && isOnTerminal()) note(`checking ${escaped(file)}`);
      // A file is checked first, so that no database is created for one that is not an export.
      const total = isInput ? null : await checkFile(file, signal);
      const report = await withStore(
        context,
        options,
        (store) =>
          withProgress({ total, options }, (update) => {
            const onProgress = ({ written, skipped, replaced }: ImportProgress) =>
              update(written + skipped + replaced);
            const importOptions = { onConflict, signal, onProgress };
            return isInput
              ? importStore(store, addAbortSignal(signal, process.stdin), importOptions)
              : storeFile(store, file, importOptions);
          }),
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
