import { expect } from "vitest";
import { runCommandLine } from "../../src/cli/command-line.ts";
import {
  compileCommandLine,
  runCommand,
  runProgram,
  startCommand,
  type CommandOptions,
  type CommandResult,
  type StartedCommand,
} from "../support/command-line.ts";
import { test } from "../support/fixtures.ts";
import type { Sqld } from "../support/sqld.ts";
import type { TemporaryFolder } from "../support/temporary.ts";

type Options = Partial<CommandOptions>;

/** The command in a new folder for each test. */
export interface CommandBench {
  readonly folder: TemporaryFolder;
  /** The compiled command. */
  readonly program: string;
  /** Runs the command in this process; in its own one if it reads standard input or ends its process. */
  run(args: readonly string[], options?: Options): Promise<CommandResult>;
  /** Runs the command, which must succeed without complaints, and returns what it prints as JSON. */
  answer(args: readonly string[], options?: Options): Promise<unknown>;
  runProcess(args: readonly string[], options?: Options): Promise<CommandResult>;
  start(args: readonly string[], options?: Options): StartedCommand;
  /** Runs a script of `sh` with the arguments `$0`, `$1` and so on. */
  shell(script: string, args: readonly string[]): Promise<CommandResult>;
}

/** Call it at the top of a file whose tests use the fixtures' `test`. */
export function setUpCommand(): CommandBench {
  let program: string;
  let current: TemporaryFolder;
  test.beforeAll(async () => {
    program = await compileCommandLine();
  });
  test.beforeEach(({ folder }) => {
    current = folder;
  });
  const here = (options?: Options): CommandOptions => ({ cwd: current.path, ...options });
  const runProcess: CommandBench["run"] = (args, options) =>
    runCommand(program, args, here(options));
  const run: CommandBench["run"] = (args, options) => {
    const [name = ""] = args;
    const needsProcess =
      options?.input !== undefined ||
      ["check", "complete"].includes(name) ||
      args.includes("--definitions");
    return needsProcess ? runProcess(args, options) : runInThisProcess(args, here(options));
  };
  return {
    get folder() {
      return current;
    },
    get program() {
      return program;
    },
    run,
    async answer(args, options) {
      const { code, stdout, stderr } = await run([...args, "--json"], options);
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
      return JSON.parse(stdout) as unknown;
    },
    runProcess,
    start: (args, options) => startCommand(program, args, here(options)),
    shell: (script, args) => runProgram("sh", ["-c", script, ...args], { cwd: current.path }),
  };
}

/** The file's server. */
export function setUpServer(): Pick<Sqld, "httpUrl" | "webSocketUrl"> {
  let current: Sqld;
  test.beforeAll(({ server }) => {
    current = server;
  });
  return {
    get httpUrl() {
      return current.httpUrl;
    },
    get webSocketUrl() {
      return current.webSocketUrl;
    },
  };
}

/** Starting a process takes ten times as long as most commands. */
async function runInThisProcess(
  args: readonly string[],
  { cwd, env = {} }: CommandOptions,
): Promise<CommandResult> {
  const { stdout: out, stderr: err } = process;
  const before = {
    cwd: process.cwd(),
    env: { ...process.env },
    out: out.write,
    err: err.write,
    listeners: listeners(),
  };
  let [stdout, stderr] = ["", ""];
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) {
    if (!["PATH", "HOME"].includes(name)) delete process.env[name];
  }
  Object.assign(process.env, env);
  out.write = collect((text) => (stdout += text));
  err.write = collect((text) => (stderr += text));
  try {
    return { code: await runCommandLine(args), stdout, stderr };
  } finally {
    out.write = before.out;
    err.write = before.err;
    process.chdir(before.cwd);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, before.env);
    for (const [index, { emitter, event, of }] of listeners().entries()) {
      for (const listener of of) {
        if (before.listeners[index]?.of.includes(listener) === false) {
          emitter.off(event, listener as () => void);
        }
      }
    }
  }
}

/** What the command listens to for as long as its process lives. */
function listeners() {
  const events: [NodeJS.EventEmitter, string][] = [
    [process, "SIGINT"],
    [process, "SIGTERM"],
    [process.stdout, "error"],
    [process.stderr, "error"],
  ];
  return events.map(([emitter, event]) => ({ emitter, event, of: emitter.listeners(event) }));
}

function collect(add: (text: string) => void): typeof process.stdout.write {
  return (chunk: string | Uint8Array, ...rest: unknown[]) => {
    add(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
    const written = rest.at(-1);
    if (typeof written === "function") process.nextTick(written);
    return true;
  };
}
