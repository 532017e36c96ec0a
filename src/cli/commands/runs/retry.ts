import type { Command } from "commander";
import type { CommandContext } from "../../context.ts";
import { changeCommand } from "./changes.ts";

export function retryCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "retry",
    description: "make FAILED or CANCELLED runs PENDING again",
    done: "pending",
    change: (engine, runId) => engine.retry(runId),
    help: `
The steps that failed or were cancelled restart with all their retries. Completed steps do not run again. A worker
executes the runs; this command does not.

Examples:
  gorkflow runs retry 0198c0de-0000-7000-8000-000000000000
  gorkflow runs list --status FAILED --after 1h --all --ndjson | jq -r .runId | gorkflow runs retry -`,
  });
}
