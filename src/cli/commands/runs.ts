import { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { cancelCommand, deleteCommand, retryCommand } from "./runs/changes.ts";
import { listCommand } from "./runs/list.ts";
import { showCommand } from "./runs/show.ts";
import { watchCommand } from "./runs/watch.ts";
import { whyCommand } from "./runs/why.ts";

export function runsCommand(context: CommandContext): Command {
  const command = new Command("runs");
  const changes = [cancelCommand, retryCommand, deleteCommand];
  for (const create of [listCommand, showCommand, whyCommand, watchCommand, ...changes]) {
    command.addCommand(create(context));
  }
  return command;
}
