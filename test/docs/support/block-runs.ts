import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { startVitest } from "vitest/node";
import { startSqld } from "../../support/sqld.ts";
import { root, type CodeBlock, type Page } from "./code-blocks.ts";

const execute = promisify(execFile);
const tsx = join(root, "node_modules/.bin/tsx");
const tsconfig = join(root, "tsconfig.json");

/** The address that pages give a server: a real one runs in its place. */
const serverAddress = /libsql:\/\/[\w-]+\.turso\.io/g;

/** Where the blocks of one page run, one after the other: each finds the files that the ones before it left. */
export interface PageFolder {
  readonly path: string;
  /** The block as it runs here. */
  prepare(code: string): string;
  remove(): Promise<void>;
}

/** A folder inside the project, so that its packages are found, with the commands of the package. */
export async function makePageFolder({ blocks }: Page): Promise<PageFolder> {
  const parent = join(root, "test/docs/.blocks");
  await mkdir(parent, { recursive: true });
  const path = await mkdtemp(join(parent, "page-"));
  await linkCommands(join(path, "node_modules/.bin"));
  const named = blocks.some(({ code }) => code.search(serverAddress) !== -1);
  const server = named ? await startSqld() : null;
  return {
    path,
    prepare: (code) => (server === null ? code : code.replaceAll(serverAddress, server.httpUrl)),
    async remove() {
      await server?.stop();
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** What `npm install` would link, but of the sources. */
async function linkCommands(folder: string): Promise<void> {
  const { bin = {} } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    bin?: Record<string, string>;
  };
  await mkdir(folder, { recursive: true });
  for (const [name, built] of Object.entries(bin)) {
    const source = join(root, built.replace(/^(\.\/)?dist\//, "src/").replace(/\.js$/, ".ts"));
    const command = join(folder, name);
    await writeFile(
      command,
      `#!/bin/sh\nexec "${tsx}" --tsconfig "${tsconfig}" "${source}" "$@"\n`,
    );
    await chmod(command, 0o755);
  }
}

/**
 * What the program or the commands of a block print.
 *
 * @throws when it ends with another code than 0, and commands as soon as one of them does.
 */
export async function runBlock(
  { name, language, code }: CodeBlock,
  folder: PageFolder,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const prepared = folder.prepare(code);
  if (language === "sh") {
    const PATH = [join(folder.path, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
    return execute("bash", ["-euo", "pipefail", "-c", prepared], {
      cwd: folder.path,
      env: { ...process.env, PATH },
    });
  }
  const path = join(folder.path, fileName(name));
  await writeFile(path, prepared);
  return execute(tsx, ["--tsconfig", tsconfig, path], { cwd: folder.path });
}

function fileName(blockName: string, suffix = ".ts"): string {
  return `${blockName.replaceAll(/[^\w-]+/g, "-")}${suffix}`;
}

/** The outcome of each test that a block declares. */
export async function runSuite({ name, code }: CodeBlock, folder: PageFolder): Promise<string[]> {
  const suite = fileName(name, ".suite.ts");
  await writeFile(join(folder.path, suite), code);
  const vitest = await startVitest("test", [], {
    root: folder.path,
    config: join(root, "vitest.config.ts"),
    include: [suite],
    watch: false,
    reporters: [{}],
  });
  const outcomes = vitest.state
    .getTestModules()
    .flatMap((module) => [...module.children.allTests()].map((each) => each.result().state));
  await vitest.close();
  return outcomes;
}

/** What the compiler says of the blocks: nothing when all is well. */
export async function typecheck(
  blocks: readonly CodeBlock[],
  folder: PageFolder,
): Promise<readonly string[]> {
  const files = blocks.map(({ name }) => fileName(name));
  await Promise.all(
    blocks.map(({ code }, index) => writeFile(join(folder.path, files[index] ?? ""), code)),
  );
  const project = join(folder.path, "tsconfig.json");
  await writeFile(
    project,
    JSON.stringify({ extends: tsconfig, files, include: [], compilerOptions: { types: ["node"] } }),
  );
  const tsc = join(root, "node_modules/.bin/tsc");
  return execute(tsc, ["-p", project, "--pretty", "false"]).then(
    () => [],
    ({ stdout }: { stdout: string }) => stdout.trim().split("\n"),
  );
}
