import { setMaxListeners } from "node:events";
import type { CommandContext } from "./context.ts";
import { InterruptedError, OutputClosedError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

type Interruption = Pick<CommandContext, "signal" | "endAtOnce">;

/**
 * A signal that aborts when the command is to end: by Ctrl-C, by SIGTERM, or because nobody reads its output any
 * more. A command finishes the batch it is at, and stops. The second Ctrl-C does not wait for that.
 */
export function watchForInterruption(): Interruption {
  const controller = new AbortController();
  // Everything that is under way listens: a hundred waits are no leak.
  setMaxListeners(0, controller.signal);
  const interrupt = (signal: "SIGINT" | "SIGTERM") => {
    const error = new InterruptedError(signal);
    if (controller.signal.aborted) process.exit(error.exitCode);
    controller.abort(error);
  };
  for (const signal of signals) process.on(signal, interrupt);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.exit(exitCodes.failure);
    controller.abort(new OutputClosedError());
  });
  return {
    signal: controller.signal,
    endAtOnce() {
      for (const signal of signals) process.off(signal, interrupt);
    },
  };
}
