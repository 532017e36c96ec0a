import { Command } from "commander";
import { describeDifference } from "../../transfer/compare-bundles.ts";
import { compareStores } from "../../transfer/compare-stores.ts";
import type { CommandContext } from "../context.ts";
import { withTwoStores } from "../database.ts";
import { parseCount } from "../output/numbers.ts";
import {
  addFilterOptions,
  filterOf,
  type FilterOptions,
  type JsonOptions,
  shared,
} from "../options.ts";
import { colors, escaped, escapedIn, print, printJson } from "../output/output.ts";
import { countOf, withProgress } from "../output/progress.ts";
import { formatCount } from "../output/words.ts";

interface CompareOptions extends FilterOptions, JsonOptions {
  readonly max: number;
}

export function compareCommand(context: CommandContext): Command {
  const command = new Command("compare")
    .argument("<first>", "URL or path of a database")
    .argument("<second>", "URL or path of another database")
    .option("--max <number>", "the most differences to describe; all are counted", parseCount, 100);
  return addFilterOptions(command)
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
Compares all runs, steps, attempts, outputs and state by value. Changes nothing, and prints no payloads. Tokens work as
in gorkflow copy. To copy what is missing or different in the second database, use gorkflow copy --compare.

Examples:
  gorkflow compare workflows.db libsql://my-db.turso.io
  gorkflow compare workflows.db copy.db --json | jq .differing`,
    )
    .action(async (first: string, second: string, { max, ...options }: CompareOptions) => {
      const filter = filterOf(options);
      const report = await withTwoStores(context, [first, second], "look", async (a, b) => {
        const total = await countOf(a, filter);
        return withProgress({ total, options }, (update) =>
          compareStores(a, b, {
            filter,
            maxDifferences: max,
            signal: context.signal,
            onProgress: ({ runs }) => update(runs),
          }),
        );
      });
      if (!report.equal) context.foundSomething();
      if (options.json) return printJson(report);
      for (const difference of report.differences) print(describeDifference(escapedIn(difference)));
      for (const error of [...report.unreadable.first, ...report.unreadable.second]) {
        print(`not compared: ${escaped(error.message)}`);
      }
      print(
        report.equal
          ? colors.green(`${formatCount(report.runs)} runs, all equal`)
          : `${formatCount(report.differing)} of ${formatCount(report.runs)} runs differ`,
      );
    });
}
