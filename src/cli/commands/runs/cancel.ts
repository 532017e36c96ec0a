import type { Command } from "commander";
import type { CommandContext } from "../../context.ts";
import { changeCommand } from "./changes.ts";

export function cancelCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "cancel",
    description: "cancel runs: no further step starts, and active steps are aborted",
    done: "cancelled",
    change: (engine, runId) => engine.cancel(runId),
    help: `
A process that executes such a run notices within a quarter of its lease. Cancelling a cancelled run is not an error;
cancelling a COMPLETED or FAILED run is.

Examples:
  gorkflow runs cancel 0198c0de-0000-7000-8000-000000000000
  gorkflow runs cancel -- --an-id-that-looks-like-an-option
  gorkflow runs list --status PENDING --all --ndjson | jq -r .runId | gorkflow runs cancel -`,
  });
}
