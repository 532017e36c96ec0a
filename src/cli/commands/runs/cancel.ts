import type { Command } from "commander";
import type { CommandContext } from "../../context.ts";
import { changeCommand } from "./changes.ts";

export function cancelCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "cancel",
    description: "cancel runs: no further step begins, and what is under way is told",
    done: "cancelled",
    change: (engine, runId) => engine.cancel(runId),
    help: `
Another process that runs one of them may take a quarter of its lease to notice. A run that was cancelled already is
fine; one that has ended otherwise is an error.

Examples:
  gorkflow runs cancel 0198c0de-0000-7000-8000-000000000000
  gorkflow runs cancel -- --an-id-that-looks-like-an-option
  gorkflow runs list --status PENDING --all --ndjson | jq -r .runId | gorkflow runs cancel -`,
  });
}
