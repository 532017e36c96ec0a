import { Command } from "commander";
import type { StoreStats } from "../../store/maintenance.ts";
import type { CommandContext } from "../context.ts";
import { withStore } from "../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../options.ts";
import { print, printJson, table } from "../output/output.ts";
import { formatBytes, formatCount, formatTime } from "../output/words.ts";

export function statsCommand(context: CommandContext): Command {
  return new Command("stats")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Examples:
  gorkflow stats --database file:./workflows.db
  gorkflow stats --json | jq .runs.FAILED`,
    )
    .action(async (options: TableOptions & JsonOptions) => {
      const stats = await withStore(context, options, (store) => {
        context.endAtOnce();
        return store.stats();
      });
      if (options.json) printJson(stats);
      else print(describe(stats));
    });
}

function describe({ rows, runs, ...database }: StoreStats): string {
  return [
    table(["runs", ""], counts(runs)),
    table(["rows", ""], counts(rows)),
    table(
      ["database", ""],
      [
        ["size", formatBytes(database.bytes)],
        ["free in it", formatBytes(database.freeBytes)],
        ["oldest run", formatTime(database.oldestRunAt)],
        ["newest run", formatTime(database.newestRunAt)],
      ],
    ),
  ].join("\n\n");
}

function counts(of: Readonly<Record<string, number>>): string[][] {
  return Object.entries(of).map(([name, count]) => [name, formatCount(count)]);
}
