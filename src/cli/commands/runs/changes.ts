import { addAbortSignal, type Readable } from "node:stream";
import { Command } from "commander";
import { Engine } from "../../../engine/engine.ts";
import { type GorkflowError, UnsupportedError } from "../../../errors.ts";
import type { LibSQLStore } from "../../../stores/libsql/libsql-store.ts";
import { isRefusal } from "../../../transfer/refusals.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { escaped, note, print, printJson } from "../../output/output.ts";

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

interface RunChange {
  readonly name: string;
  readonly description: string;
  readonly help: string;
  /** The word that is printed for each run: `cancelled <run>`. */
  readonly done: string;
  change(engine: Engine, runId: string): Promise<void>;
}

/** A command that changes runs one after the other. It continues after a run that cannot be changed. */
function changeCommand(
  context: CommandContext,
  { name, description, help, done, change }: RunChange,
): Command {
  return new Command(name)
    .description(description)
    .argument("<run...>", "ids of the runs; - reads ids from standard input, one per line")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json())
    .addHelpText("after", help)
    .action(async (given: readonly string[], { json, ...options }: TableOptions & JsonOptions) => {
      const changed: string[] = [];
      const failed: { runId: string; code: string; message: string }[] = [];
      const changeAll = async (store: LibSQLStore) => {
        const engine = new Engine(store);
        // A second change of a run would fail.
        const seen = new Set<string>();
        try {
          for await (const runId of idsOf(given, context.signal)) {
            context.signal.throwIfAborted();
            if (seen.has(runId)) continue;
            seen.add(runId);
            try {
              await change(engine, runId);
              changed.push(runId);
              if (!json) print(`${done} ${escaped(runId)}`);
            } catch (error) {
              if (!isOfOneRun(error)) throw error;
              failed.push({ runId, code: error.code, message: error.message });
              if (!json) note(`not ${done}: ${escaped(error.message)}`);
            }
          }
        } finally {
          // Also printed if the command fails: these runs have been changed.
          if (json) printJson({ [done]: changed, failed });
          await engine.close();
        }
      };
      await withStore(context, options, changeAll, { access: "change" });
      if (failed.length > 0) context.foundSomething();
    });
}

async function* idsOf(given: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  for (const runId of new Set(given)) {
    if (runId === "-") yield* idsOfInput(addAbortSignal(signal, process.stdin));
    else yield runId;
  }
}

/** The lines of standard input. `node:readline` would split an id at a carriage return. */
async function* idsOfInput(input: Readable): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of input.setEncoding("utf8")) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    yield* lines.map((line) => line.replace(/\r$/, "")).filter((line) => line !== "");
  }
  if (rest !== "") yield rest;
}

/** False for an error that the next run would meet as well. */
function isOfOneRun(error: unknown): error is GorkflowError {
  return isRefusal(error) && !(error instanceof UnsupportedError);
}
