import type { Command } from "commander";
import type { CommandContext } from "../../context.ts";
import { changeCommand } from "./changes.ts";

export function cancelCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "cancel",
    description: "cancel runs; the signals of their running steps abort",
    done: "cancelled",
    change: (engine, runId) => engine.cancel(runId),
    help: `
A worker in another process notices within a quarter of its lease. Cancelling a CANCELLED run succeeds; cancelling a run
that has ended otherwise is an error.

Examples:
  gorkflow runs cancel 0198c0de-0000-7000-8000-000000000000
  gorkflow runs cancel -- --an-id-that-looks-like-an-option
  gorkflow runs list --status PENDING --all --ndjson | jq -r .runId | gorkflow runs cancel -`,
  });
}
