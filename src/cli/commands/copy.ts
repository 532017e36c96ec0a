import { Command } from "commander";
import { copyStore } from "../../transfer/copy-store.ts";
import type { CommandContext } from "../context.ts";
import { withTwoStores } from "../database.ts";
import {
  addFilterOptions,
  filterOf,
  type FilterOptions,
  type JsonOptions,
  shared,
} from "../options.ts";
import { print, printJson } from "../output/output.ts";
import { countOf, withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

interface CopyOptions extends FilterOptions, JsonOptions {
  readonly resume?: true;
  readonly compare?: true;
}

export function copyCommand(context: CommandContext): Command {
  const command = new Command("copy")
    .argument("<from>", "URL or path of the database to read")
    .argument("<to>", "URL or path of the database to write; created if it does not exist")
    .option(
      "--resume",
      "copy only what the target does not have: to continue an interrupted copy, or to catch up",
    )
    .option(
      "--compare",
      "like --resume, but read both databases completely: finds what was written after a run ended",
    );
  return addFilterOptions(command)
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Each run is copied entirely or not at all. GORKFLOW_TO_AUTH_TOKEN is the token of the target. GORKFLOW_AUTH_TOKEN is
the token of the server in GORKFLOW_DATABASE_URL, whether it is read or written.

Examples:
  gorkflow copy workflows.db libsql://my-db.turso.io
  gorkflow copy workflows.db libsql://my-db.turso.io --resume
  gorkflow copy workflows.db failed.db --status FAILED`,
    )
    .action(async (from: string, to: string, options: CopyOptions) => {
      context.onInterruption("run the same command with --resume to continue");
      const filter = filterOf(options);
      const report = await withTwoStores(context, [from, to], "create", async (source, target) => {
        const total = await countOf(source, filter);
        return withProgress({ total, options }, (update) =>
          copyStore(source, target, {
            filter,
            resume: options.compare ? "compare" : options.resume,
            signal: context.signal,
            onProgress: ({ copied, unchanged }) => update(copied + unchanged),
          }),
        );
      });
      if (options.json) return printJson(report);
      const { copied, unchanged } = report;
      print(`${formatCount(copied)} runs copied, ${formatCount(unchanged)} existed already`);
    });
}
