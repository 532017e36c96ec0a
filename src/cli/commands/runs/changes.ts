import { createInterface } from "node:readline";
import { Command } from "commander";
import { Engine } from "../../../engine/engine.ts";
import { type GorkflowError, UnsupportedError } from "../../../errors.ts";
import type { LibSQLStore } from "../../../stores/libsql/libsql-store.ts";
import { isRefusal } from "../../../transfer/refusals.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { escaped, note, print, printJson } from "../../output/output.ts";

/** A command that changes runs one after the other. It continues after a run that cannot be changed. */
export interface RunChange {
  readonly name: string;
  readonly description: string;
  readonly help: string;
  /** The word that is printed for each run: `cancelled <run>`. */
  readonly done: string;
  change(engine: Engine, runId: string): Promise<void>;
}

interface FailedChange {
  readonly runId: string;
  readonly code: string;
  readonly message: string;
}

export function changeCommand(
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
      const failed: FailedChange[] = [];
      const changeAll = async (store: LibSQLStore) => {
        const engine = new Engine(store);
        try {
          for await (const runId of idsOf(given, context.signal)) {
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

/** Each id once, because a second change of a run would fail. */
async function* idsOf(given: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const runId of withInput(given, signal)) {
    signal.throwIfAborted();
    if (seen.has(runId)) continue;
    seen.add(runId);
    yield runId;
  }
}

async function* withInput(given: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  for (const runId of given) {
    if (runId !== "-") yield runId;
    else {
      for await (const line of createInterface({ input: process.stdin, signal })) {
        if (line !== "") yield line;
      }
      // An interrupted input looks like a complete one.
      signal.throwIfAborted();
    }
  }
}

/** False for an error that the next run would meet as well. */
function isOfOneRun(error: unknown): error is GorkflowError {
  return isRefusal(error) && !(error instanceof UnsupportedError);
}
