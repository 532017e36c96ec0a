import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import {
  compileCommandLine,
  runCommand,
  runProgram,
  startCommand,
  type CommandOptions,
  type CommandResult,
  type StartedCommand,
} from "../support/command-line.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

type Options = Partial<CommandOptions>;

/** The command as a real process, in a new folder for each test. */
export interface CommandBench {
  readonly folder: TemporaryFolder;
  /** The compiled command. */
  readonly program: string;
  run(args: readonly string[], options?: Options): Promise<CommandResult>;
  /** What it prints as JSON. It must end well, and complain of nothing. */
  answer(args: readonly string[], options?: Options): Promise<unknown>;
  start(args: readonly string[], options?: Options): StartedCommand;
  /** A script of `sh`, which finds its arguments as `$0`, `$1` and so on. */
  shell(script: string, args: readonly string[]): Promise<CommandResult>;
}

export function setUpCommand(): CommandBench {
  let program: string;
  let folder: TemporaryFolder;
  beforeAll(async () => {
    program = await compileCommandLine();
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());
  const run: CommandBench["run"] = (args, options) =>
    runCommand(program, args, { cwd: folder.path, ...options });
  return {
    get folder() {
      return folder;
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
    start: (args, options) => startCommand(program, args, { cwd: folder.path, ...options }),
    shell: (script, args) => runProgram("sh", ["-c", script, ...args], { cwd: folder.path }),
  };
}

/** A server for all tests of a file. */
export function setUpServer(): Pick<Sqld, "httpUrl" | "webSocketUrl"> {
  let server: Sqld;
  beforeAll(async () => {
    server = await startSqld();
  });
  afterAll(() => server.stop());
  return {
    get httpUrl() {
      return server.httpUrl;
    },
    get webSocketUrl() {
      return server.webSocketUrl;
    },
  };
}
