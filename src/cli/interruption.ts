import { setMaxListeners } from "node:events";
import { InterruptedError, OutputClosedError } from "./errors.ts";
import { exitCodes } from "./exit-codes.ts";

/**
 * A signal that aborts when the command is to end: by Ctrl-C, by SIGTERM, or because nobody reads its output any
 * more. A command finishes the batch it is at, and stops. The second Ctrl-C does not wait for that.
 */
export function watchForInterruption(): AbortSignal {
  const controller = new AbortController();
  // Everything that is under way listens: a hundred waits are no leak.
  setMaxListeners(0, controller.signal);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      const error = new InterruptedError(signal);
      if (controller.signal.aborted) process.exit(error.exitCode);
      controller.abort(error);
    });
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.exit(exitCodes.failure);
    controller.abort(new OutputClosedError());
  });
  return controller.signal;
}
