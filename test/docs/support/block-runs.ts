import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { startVitest } from "vitest/node";
import { buildPackage } from "../../support/built-package.ts";
import { bundle } from "../../support/child-processes.ts";
import { startSqld } from "../../support/sqld.ts";
import { root, type CodeBlock, type Page } from "./code-blocks.ts";

const execute = promisify(execFile);
const tsconfig = join(root, "tsconfig.json");

/** The address that pages give a server: a real one runs in its place. */
const serverAddress = /libsql:\/\/[\w-]+\.turso\.io/g;

/** Inside the project, so that its packages are found. */
const parent = join(root, "test/docs/.blocks");

/** Where the blocks of one page run, one after the other: each finds the files that the ones before it left. */
export interface PageFolder {
  readonly path: string;
  /** The block as it runs here. */
  prepare(code: string): string;
  remove(): Promise<void>;
}

/** The package as it is published, for the folders of pages. */
export interface Installation {
  makePageFolder(page: Page): Promise<PageFolder>;
  remove(): Promise<void>;
}

export async function install(): Promise<Installation> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "package-"));
  const built = join(folder, "gorkflow");
  await buildPackage(built);
  return {
    makePageFolder: async ({ blocks }) => {
      const path = await mkdtemp(join(folder, "page-"));
      // A package of its own: inside ours, its name would stand for the sources.
      await writeFile(join(path, "package.json"), `{ "name": "app", "type": "module" }\n`);
      await link(built, join(path, "node_modules"));
      const named = blocks.some(({ code }) => code.search(serverAddress) !== -1);
      const server = named ? await startSqld() : null;
      return {
        path,
        prepare: (code) =>
          server === null ? code : code.replaceAll(serverAddress, server.httpUrl),
        async remove() {
          await server?.stop();
          await rm(path, { recursive: true, force: true });
        },
      };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** As `npm install` does it. */
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
}

/**
 * What the program or the commands of a block print.
 *
 * @throws when it ends with another code than 0, and commands as soon as one of them does.
 */
export async function runBlock(
  block: CodeBlock,
  folder: PageFolder,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  if (block.language === "sh") {
    const PATH = [join(folder.path, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
    return execute("bash", ["-euo", "pipefail", "-c", folder.prepare(block.code)], {
      cwd: folder.path,
      env: { ...process.env, PATH },
    });
  }
  const program = await compile(await writeBlock(block, folder));
  return execute(process.execPath, [program], { cwd: folder.path });
}

/** One file of JavaScript, with the modules of the page in it: Node starts it at once. */
async function compile(path: string): Promise<string> {
  const outfile = path.replace(/\.ts$/, ".mjs");
  // Not the project's configuration, which finds the package in its sources.
  await bundle(path, outfile, { tsconfigRaw: {} });
  return outfile;
}

/** Puts the block where its page's other blocks find it, and returns its path. */
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
    // The published package, as the page has it: nothing of the configuration of this project.
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

/** What the compiler says of the pages' TypeScript: nothing when all is well. */
export async function typecheck(pages: readonly Page[]): Promise<readonly string[]> {
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, "types-"));
  try {
    const files = await Promise.all(pages.map((page) => writeTypeScript(page, folder)));
    const project = join(folder, "tsconfig.json");
    await writeFile(
      project,
      JSON.stringify({
        extends: tsconfig,
        files: files.flat(),
        include: [],
        compilerOptions: { types: ["node"] },
      }),
    );
    const tsc = join(root, "node_modules/.bin/tsc");
    return await execute(tsc, ["-p", project, "--pretty", "false"]).then(
      () => [],
      ({ stdout }: { stdout: string }) => stdout.trim().split("\n"),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The paths of the page's modules, in a folder of their own. */
async function writeTypeScript({ file, blocks }: Page, folder: string): Promise<string[]> {
  const path = join(folder, file);
  await mkdir(path, { recursive: true });
  const modules = blocks.filter(({ language }) => language === "ts");
  await Promise.all(modules.map((block) => writeFile(join(path, block.file), block.code)));
  return modules.map((block) => join(path, block.file));
}
