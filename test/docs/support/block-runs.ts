import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { startVitest } from "vitest/node";
import { builtPackage } from "../../support/built-package.ts";
import { bundle, compileProgram } from "../../support/child-processes.ts";
import { startSqld } from "../../support/sqld.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { root, type CodeBlock, type Page } from "./code-blocks.ts";

const execute = promisify(execFile);

/** The address of a server in the pages. A local server replaces it. */
const serverAddress = /libsql:\/\/[\w-]+\.turso\.io/g;

/** The output of a block. */
interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder in which the blocks of a page run in order. A block finds the files of earlier blocks. */
export interface PageFolder {
  readonly path: string;
  /** The code with the address of the local server. */
  prepare(code: string): string;
  /**
   * Runs a compiled program in the process of the page, and resolves with its output.
   *
   * @throws if the process ends before the program does.
   */
  runProgram(path: string): Promise<Output>;
  /** Resolves with the exit code of the process. It must end without a signal within 10 seconds. */
  end(): Promise<number | null>;
  remove(): Promise<void>;
}

/** The built package, for the folders of pages. */
export interface Installation {
  makePageFolder(page: Page): Promise<PageFolder>;
  /** The compiler's errors in the TypeScript of the pages, one per line. */
  typecheck(pages: readonly Page[]): Promise<readonly string[]>;
  remove(): Promise<void>;
}

export async function install(): Promise<Installation> {
  const { path: folder, remove } = await temporaryFolder();
  // The packages of this project, for the built one and for the pages.
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const [built, pageProgram] = await Promise.all([
    builtPackage(),
    compileProgram(join(import.meta.dirname, "../programs/page.ts")),
  ]);

  async function makeProject(prefix: string): Promise<string> {
    const path = await mkdtemp(join(folder, prefix));
    // A separate package: inside ours, the name `gorkflow` would resolve to the sources.
    await writeFile(join(path, "package.json"), `{ "name": "app", "type": "module" }\n`);
    await link(built, join(path, "node_modules"));
    return path;
  }

  return {
    async makePageFolder({ blocks }) {
      const path = await makeProject("page-");
      const named = blocks.some(({ code }) => code.search(serverAddress) !== -1);
      const server = named ? await startSqld() : null;
      let started: PageProcess | null = null;
      return {
        path,
        prepare: (code) =>
          server === null ? code : code.replaceAll(serverAddress, server.httpUrl),
        runProgram: (program) => (started ??= startPage(pageProgram, path)).run(program),
        end: async () => (started === null ? 0 : started.end()),
        async remove() {
          started?.kill();
          await server?.stop();
          await rm(path, { recursive: true, force: true });
        },
      };
    },
    async typecheck(pages) {
      const path = await makeProject("types-");
      const files = await Promise.all(pages.map((page) => writeTypeScript(page, path)));
      const project = join(path, "tsconfig.json");
      await writeFile(
        project,
        JSON.stringify({
          extends: join(root, "tsconfig.json"),
          files: files.flat(),
          include: [],
          // The types of the built package, not the sources.
          compilerOptions: { types: ["node"], paths: {} },
        }),
      );
      const tsc = join(root, "node_modules/.bin/tsc");
      return execute(tsc, ["-p", project, "--pretty", "false"]).then(
        () => [],
        ({ stdout }: { stdout: string }) => stdout.trim().split("\n"),
      );
    },
    remove,
  };
}

/** Links the package and its commands as `npm install` does. */
async function link(built: string, modules: string): Promise<void> {
  const { name, bin } = JSON.parse(await readFile(join(built, "package.json"), "utf8")) as {
    name: string;
    bin: Record<string, string>;
  };
  const commands = join(modules, ".bin");
  await mkdir(commands, { recursive: true });
  await symlink(built, join(modules, name));
  for (const [command, path] of Object.entries(bin)) {
    await chmod(join(built, path), 0o755);
    await symlink(join(built, path), join(commands, command));
  }
  await symlink(join(root, "node_modules/.bin/drizzle-kit"), join(commands, "drizzle-kit"));
  const sqlite3 = join(import.meta.dirname, "sqlite3.mjs");
  await chmod(sqlite3, 0o755);
  await symlink(sqlite3, join(commands, "sqlite3"));
  // The real `npx` takes most of a second to find an installed command.
  await writeFile(join(commands, "npx"), 'exec "$@"\n', { mode: 0o755 });
}

interface PageProcess {
  run(program: string): Promise<Output>;
  end(): Promise<number | null>;
  kill(): void;
}

/** Starts the process that runs the programs of a page, so that it loads the package once. */
function startPage(pageProgram: string, cwd: string): PageProcess {
  const child = spawn(process.execPath, [pageProgram], { cwd });
  // `programs/page.ts` prints this after each program. Programs never print it.
  const endOfBlock = "\0";
  const ended = once(child, "close").then(([code]) => code as number | null);
  const readBlock = (stream: NodeJS.ReadableStream) => {
    let text = "";
    let finish: ((text: string) => void) | null = null;
    const look = () => {
      const end = text.indexOf(endOfBlock);
      if (end === -1 || finish === null) return;
      finish(text.slice(0, end));
      finish = null;
      text = text.slice(end + 1);
    };
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      look();
    });
    return {
      next: () =>
        new Promise<string>((resolve) => {
          finish = resolve;
          look();
        }),
      rest: () => text,
    };
  };
  const [stdout, stderr] = [readBlock(child.stdout), readBlock(child.stderr)];
  return {
    async run(program) {
      child.stdin.write(`${program}\n`);
      const died = ended.then((code) => {
        throw new Error(`the process of the page ended with ${code}: ${stderr.rest()}`);
      });
      const printed = Promise.all([stdout.next(), stderr.next()]);
      const [out, err] = await Promise.race([printed, died]);
      return { stdout: out, stderr: err };
    },
    async end() {
      child.stdin.end();
      const limit = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const code = await ended;
      clearTimeout(limit);
      return stderr.rest() === "" ? code : Promise.reject(new Error(stderr.rest()));
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

/**
 * Runs the program or the commands of a block.
 *
 * @throws if a program fails or ends its process, or if a command fails.
 */
export async function runBlock(block: CodeBlock, folder: PageFolder): Promise<Output> {
  if (block.language === "sh") {
    const PATH = [join(folder.path, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
    return execute("bash", ["-euo", "pipefail", "-c", folder.prepare(block.code)], {
      cwd: folder.path,
      env: { ...process.env, PATH },
    });
  }
  return folder.runProgram(await compile(await writeBlock(block, folder)));
}

/** Bundles a program with the modules of its page. */
async function compile(path: string): Promise<string> {
  const outfile = path.replace(/\.ts$/, ".mjs");
  // The configuration of this project would resolve the package to the sources.
  await bundle(path, outfile, { tsconfigRaw: {} });
  return outfile;
}

/** Writes the block into the folder of its page, and returns its path. */
export async function writeBlock({ file, code }: CodeBlock, folder: PageFolder): Promise<string> {
  const path = join(folder.path, file);
  await writeFile(path, folder.prepare(code));
  return path;
}

/** The outcome of each test that a block declares. */
export async function runSuite(block: CodeBlock, folder: PageFolder): Promise<string[]> {
  await writeBlock(block, folder);
  const vitest = await startVitest("test", [], {
    root: folder.path,
    // The configuration of this project would resolve the package to the sources.
    config: false,
    testTimeout: 60_000,
    include: [block.file],
    watch: false,
    reporters: [{}],
  });
  const outcomes = vitest.state
    .getTestModules()
    .flatMap((module) => [...module.children.allTests()].map((each) => each.result().state));
  await vitest.close();
  return outcomes;
}

/** Writes the modules of the page into a folder, and returns their paths. */
async function writeTypeScript({ file, blocks }: Page, folder: string): Promise<string[]> {
  const path = join(folder, file);
  await mkdir(path, { recursive: true });
  const modules = blocks.filter(({ language }) => language === "ts");
  await Promise.all(modules.map((block) => writeFile(join(path, block.file), block.code)));
  return modules.map((block) => join(path, block.file));
}
