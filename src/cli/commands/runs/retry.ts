import type { Command } from "commander";
import type { CommandContext } from "../../context.ts";
import { changeCommand } from "./changes.ts";

export function retryCommand(context: CommandContext): Command {
  return changeCommand(context, {
    name: "retry",
    description: "make FAILED or CANCELLED runs PENDING again, for the next worker",
    done: "pending",
    change: (engine, runId) => engine.retry(runId),
    help: `
A run continues with the steps that failed or were cancelled; they get all their retries again. Completed steps do not
run again. The command itself executes nothing: a worker does.

Examples:
  gorkflow runs retry 0198c0de-0000-7000-8000-000000000000
  gorkflow runs list --status FAILED --after 1h --all --ndjson | jq -r .runId | gorkflow runs retry -`,
  });
}
