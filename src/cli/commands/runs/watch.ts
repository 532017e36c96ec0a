import { Command } from "commander";
import { Engine } from "../../../engine/engine.ts";
import type { RunProgress } from "../../../engine/run-watch.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { colors, escaped, print, printLine } from "../../output/output.ts";
import { paintStatus } from "../../output/statuses.ts";
import { formatDuration, formatShare } from "../../output/words.ts";

export function watchCommand(context: CommandContext): Command {
  return new Command("watch")
    .description("show the changes of a run until it ends; exit code 1 unless it COMPLETED")
    .argument("<run>", "id of the run")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json("print one JSON document per change"))
    .addHelpText(
      "after",
      `
The run may be in any process. Watching executes nothing: an engine must be running.

Examples:
  gorkflow runs watch 0198c0de-0000-7000-8000-000000000000
  gorkflow runs watch 0198c0de-0000-7000-8000-000000000000 --json | jq -r .status`,
    )
    .action(async (runId: string, options: TableOptions & JsonOptions) => {
      context.onInterruption("the run continues; watch it again");
      await withStore(context, options, async (store) => {
        const engine = new Engine(store);
        try {
          let last: RunProgress | null = null;
          for await (const progress of engine.watch(runId, { signal: context.reading })) {
            if (options.json) printLine(progress);
            else print(describe(progress));
            if (progress.kind === "run") last = progress;
          }
          if (last?.status !== "COMPLETED") context.foundSomething();
        } finally {
          await engine.close();
        }
      });
    });
}

function describe(progress: RunProgress): string {
  const time = colors.dim(progress.at.toISOString().replace(/^.*T|Z$/g, ""));
  const attempt = progress.attempt > 1 ? `, attempt ${progress.attempt}` : "";
  if (progress.kind === "run") {
    return `${time} run ${paintStatus(progress.status)} ${formatShare(progress.progress)}${attempt}`;
  }
  const took = progress.durationMs === null ? "" : ` in ${formatDuration(progress.durationMs)}`;
  return `${time}   ${escaped(progress.stepId)} ${paintStatus(progress.status)}${took}${attempt}`;
}
