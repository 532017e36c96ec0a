import { setMaxListeners } from "node:events";
import type { CommandContext } from "./context.ts";
import { InterruptedError, OutputClosedError, OutputFailedError } from "./errors.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

type Interruption = Pick<CommandContext, "signal" | "reading" | "endAtOnce">;

/**
 * Signals that abort when the command is to end: by Ctrl-C or SIGTERM, and `reading` also because nobody reads its
 * output any more. A command finishes the batch it is at, and stops. The second Ctrl-C does not wait for that.
 */
export function watchForInterruption(
  onOutputFailed: (error: OutputFailedError) => void,
): Interruption {
  const interrupted = new AbortController();
  const output = new AbortController();
  const interrupt = (signal: "SIGINT" | "SIGTERM") => {
    const error = new InterruptedError(signal);
    if (interrupted.signal.aborted) process.exit(error.exitCode);
    interrupted.abort(error);
  };
  for (const signal of signals) process.on(signal, interrupt);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (output.signal.aborted) return;
    if (error.code === "EPIPE") return output.abort(new OutputClosedError());
    const failure = new OutputFailedError(error.code ?? error.name);
    output.abort(failure);
    onOutputFailed(failure);
  });
  // Progress that nobody reads is dropped: the work has nothing to do with it.
  process.stderr.on("error", () => {});
  const reading = AbortSignal.any([interrupted.signal, output.signal]);
  // Everything that is under way listens: a hundred waits are no leak.
  setMaxListeners(0, interrupted.signal, reading);
  return {
    signal: interrupted.signal,
    reading,
    endAtOnce() {
      for (const signal of signals) process.off(signal, interrupt);
    },
  };
}
