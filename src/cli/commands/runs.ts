import { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { cancelCommand, retryCommand } from "./runs/changes.ts";
import { listCommand } from "./runs/list.ts";
import { showCommand } from "./runs/show.ts";
import { watchCommand } from "./runs/watch.ts";

export function runsCommand(context: CommandContext): Command {
  const command = new Command("runs");
  for (const create of [listCommand, showCommand, watchCommand, cancelCommand, retryCommand]) {
    command.addCommand(create(context));
  }
  return command;
}
