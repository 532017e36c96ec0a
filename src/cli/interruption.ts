import { setMaxListeners } from "node:events";
import type { CommandContext } from "./context.ts";
import { InterruptedError, OutputClosedError, OutputFailedError } from "./errors.ts";
import type { ExitCode } from "./exit-codes.ts";

const signals = ["SIGINT", "SIGTERM"] as const;

type Interruption = Pick<CommandContext, "signal" | "reading" | "endAtOnce">;

/** npm, npx and `timeout` pass on a signal that the process has received as well: it is not a second one. */
const repeatMs = 500;

/**
 * `signal` aborts at Ctrl-C or SIGTERM, `reading` also when the output is closed. A command finishes its current batch and
 * stops. A second Ctrl-C ends the process at once.
 */
export function watchForInterruption(
  onOutputFailed: (error: OutputFailedError) => void,
): Interruption {
  const interrupted = new AbortController();
  const output = new AbortController();
  let interruptedAt = 0;
  const interrupt = (signal: "SIGINT" | "SIGTERM") => {
    const error = new InterruptedError(signal);
    if (!interrupted.signal.aborted) {
      interruptedAt = performance.now();
      interrupted.abort(error);
    } else if (performance.now() - interruptedAt > repeatMs) exitNow(error.exitCode);
  };
  for (const signal of signals) process.on(signal, interrupt);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (output.signal.aborted) return;
    if (error.code === "EPIPE") return output.abort(new OutputClosedError());
    const failure = new OutputFailedError(error.code ?? error.name);
    output.abort(failure);
    onOutputFailed(failure);
  });
  // Progress that cannot be printed must not stop the work.
  process.stderr.on("error", () => {});
  const reading = AbortSignal.any([interrupted.signal, output.signal]);
  // Every pending operation has a listener: a hundred of them are not a leak.
  setMaxListeners(0, interrupted.signal, reading);
  return {
    signal: interrupted.signal,
    reading,
    endAtOnce() {
      for (const signal of signals) process.off(signal, interrupt);
    },
  };
}

/** How long the process waits for its output to be written. */
const lingeringMs = 250;

/** Ends the process soon, even if an open connection would keep it alive. */
export function exitSoon(): void {
  setTimeout(exitNow, lingeringMs).unref();
}

function exitNow(exitCode?: ExitCode): void {
  // The exit waits for a thread that opens a pipe which no process uses. Then the next Ctrl-C ends it.
  for (const signal of signals) process.removeAllListeners(signal);
  if (exitCode !== undefined) process.exitCode = exitCode;
  process.exit();
}
