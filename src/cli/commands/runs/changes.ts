import { Command } from "commander";
import { Engine } from "../../../engine/engine.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import {
  databaseOption,
  jsonOption,
  prefixOption,
  type JsonOptions,
  type TableOptions,
} from "../../options.ts";
import { print, printJson } from "../../output.ts";

/** A command that changes runs one after the other: the first that cannot be changed ends it. */
export interface RunChange {
  readonly name: string;
  readonly description: string;
  readonly help: string;
  /** What is said of each: `cancelled <run>`. */
  readonly done: string;
  change(engine: Engine, runId: string): Promise<void>;
}

export function changeCommand(
  context: CommandContext,
  { name, description, help, done, change }: RunChange,
): Command {
  return new Command(name)
    .description(description)
    .argument("<run...>", "ids of the runs")
    .addOption(databaseOption())
    .addOption(prefixOption())
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action(async (runIds: readonly string[], options: TableOptions & JsonOptions) => {
      const changed: string[] = [];
      await withStore(context, options, async (store) => {
        const engine = new Engine(store);
        try {
          for (const runId of runIds) {
            context.signal.throwIfAborted();
            await change(engine, runId);
            changed.push(runId);
            if (!options.json) print(`${done} ${runId}`);
          }
        } finally {
          await engine.close();
        }
      });
      if (options.json) printJson({ [done]: changed });
    });
}
