import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { bundleCommand } from "../../scripts/bundle-command.ts";
import { outputFolder } from "./child-processes.ts";

const root = join(import.meta.dirname, "../..");

let compiled: Promise<string> | null = null;

/** Compiles the command `gorkflow` on the first call, and returns the path of the program. */
export function compileCommandLine(): Promise<string> {
  return (compiled ??= compile());
}

async function compile(): Promise<string> {
  const folder = join(outputFolder(), "package");
  await bundleCommand(join(folder, "dist/cli"));
  await cp(join(root, "package.json"), join(folder, "package.json"));
  return join(folder, "dist/cli/main.js");
}

export interface CommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The whole standard input. */
  readonly input?: string;
}

/** The exit code and the output of a command. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartedCommand {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<CommandResult>;
}

/** Starts the command. It gets no variables but the given ones, PATH and HOME. */
export function startCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): StartedCommand {
  return startProgram(process.execPath, [program, ...args], options);
}

function startProgram(
  program: string,
  args: readonly string[],
  { cwd, env = {}, input }: CommandOptions,
): StartedCommand {
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  if (input !== undefined) child.stdin.end(input);
  const ended = once(child, "close").then(([code]) => ({
    code: code as number | null,
    stdout,
    stderr,
  }));
  return { process: child, ended };
}

export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  return startCommand(program, args, { input: "", ...options }).ended;
}

/** Runs any program with the environment of `startCommand`. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  return startProgram(program, args, { input: "", ...options }).ended;
}
