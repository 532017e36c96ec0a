import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import { exportFile } from "../../transfer/export/export-file.ts";
import {
  exportStore,
  type ExportOptions,
  type ExportProgress,
} from "../../transfer/export/export-store.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { CommandError, OutputClosedError, OutputFailedError } from "../errors.ts";
import {
  addFilterOptions,
  filterOf,
  type FilterOptions,
  type JsonOptions,
  shared,
  type TableOptions,
} from "../options.ts";
import { escaped, print, printJson } from "../output/output.ts";
import { countOf, withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

export function exportCommand(context: CommandContext): Command {
  const command = new Command("export")
    .argument(
      "<file>",
      "file to write; compressed if its name ends with .gz; - writes to standard output",
    )
    .addOption(shared.database())
    .addOption(shared.prefix());
  return addFilterOptions(command)
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
The file appears under its name only when it is complete. An interrupted export leaves nothing behind; a killed one
leaves a file that ends with .partial, which a later export to the same name removes.

Examples:
  gorkflow export backup.ndjson.gz
  gorkflow export orders.ndjson --workflow orders --status FAILED --after 7d
  gorkflow export - | jq -r .run.runId`,
    )
    .action(async (file: string, options: TableOptions & FilterOptions & JsonOptions) => {
      const filter = filterOf(options);
      const toOutput = file === "-" || file === "/dev/stdout";
      let last: ExportProgress = { runs: 0, unreadable: 0 };
      await withStore(context, options, async (store) => {
        const total = await countOf(store, filter);
        await withProgress({ total, options }, (update) => {
          const exportOptions: ExportOptions = {
            filter,
            signal: toOutput ? context.reading : context.signal,
            onProgress: (report) => {
              last = report;
              update(report.runs);
            },
          };
          return toOutput
            ? toStandardOutput(exportStore(store, exportOptions), context.reading)
            : exportFile(store, file, exportOptions);
        });
      });
      if (toOutput) return;
      if (options.json) printJson({ file, ...last });
      else print(`${formatCount(last.runs)} runs exported to ${escaped(file)}`);
    });
}

/** @throws {CommandError} if the reader stops early, so that a script notices that the export is incomplete. */
async function toStandardOutput(
  lines: AsyncGenerator<string>,
  reading: AbortSignal,
): Promise<void> {
  try {
    await pipeline(lines, process.stdout, { end: false });
  } catch (error) {
    // This failure was reported at once.
    if (reading.reason instanceof OutputFailedError) throw reading.reason;
    if (!(reading.reason instanceof OutputClosedError)) throw error;
    throw new CommandError(
      {
        code: "OUTPUT_CLOSED",
        message: "the export is not complete: its reader has closed the pipe",
        remedy: "export to a file",
      },
      { cause: error },
    );
  }
}
