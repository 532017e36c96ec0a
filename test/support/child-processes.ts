import { fork, type ChildProcess, type ForkOptions } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { build, type BuildOptions } from "esbuild";
import { inject } from "vitest";

/** The folder for the programs that this process compiles. */
export const outputFolder = () => join(inject("compiledPrograms"), String(process.pid));

const compiled = new Map<string, Promise<string>>();

/**
 * Compiles a program of the tests into one file, which Node starts without compiling anything, and returns its path.
 * A program is compiled once, however often it is asked for.
 */
export function compileProgram(path: string): Promise<string> {
  let program = compiled.get(path);
  if (program === undefined) {
    const outfile = join(outputFolder(), `${compiled.size}-${basename(path, ".ts")}.mjs`);
    program = bundle(path, outfile).then(() => outfile);
    compiled.set(path, program);
  }
  return program;
}

/** Compiles a program and what it imports of this project into one file. */
export async function bundle(
  path: string,
  outfile: string,
  options: Pick<BuildOptions, "tsconfigRaw"> = {},
): Promise<void> {
  await mkdir(dirname(outfile), { recursive: true });
  await build({
    entryPoints: [path],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
    ...options,
  });
}

/** A child process that sends messages. */
export interface Program<Message> {
  readonly process: ChildProcess;
  /** All messages so far, in order. */
  readonly messages: readonly Message[];
  /** Resolves with the first message that fits, past or future. Rejects if the program ends without one. */
  message(fits: (message: Message) => boolean): Promise<Message>;
  send(message: unknown): void;
  /** Resolves after the process has ended and all of its messages and output have arrived. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  /** Kills the process by SIGKILL and waits until it has ended. */
  kill(): Promise<void>;
}

export function startProgram<Message>(
  path: string,
  args: readonly string[],
  options: Pick<
    ForkOptions,
    "uid" | "execArgv" | "execPath" | "env" | "serialization" | "silent"
  > = {},
): Program<Message> {
  const child = fork(path, args, { serialization: "advanced", ...options });
  const messages: Message[] = [];
  const listeners = new Set<() => void>();
  child.on("message", (message) => {
    messages.push(message as Message);
    for (const listener of listeners) listener();
  });
  const ended = once(child, "close").then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as string | null,
  }));
  return {
    process: child,
    messages,
    ended,
    message: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = messages.find(fits);
          if (found === undefined) return;
          listeners.delete(look);
          resolve(found);
        };
        listeners.add(look);
        void ended.then(() => {
          listeners.delete(look);
          reject(new Error("the program ended without the awaited message"));
        });
        look();
      }),
    send: (message) => void child.send(message as object),
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
