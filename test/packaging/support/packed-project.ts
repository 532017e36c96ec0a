import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");

interface PackageFile {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly exports: Record<string, unknown>;
}

interface RunOptions {
  /** Relative to the project. */
  readonly folder?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A project that has the package in its `node_modules`. */
export interface Project {
  readonly path: string;
  /** Runs a program in the project, or in a folder of it. Rejects with its output when it fails. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
  remove(): Promise<void>;
}

/** A project with nothing but the packed package, its peers and TypeScript. */
export interface PackedProject extends Project {
  readonly tarball: string;
  /** The package as it is installed. */
  readonly installed: string;
  readonly packageFile: PackageFile;
}

/**
 * Builds and packs the package aside, so that nobody who works in `dist` is disturbed, and installs it, with its
 * peers and with `packages` in the versions that are installed here.
 */
export async function makePackedProject(packages: readonly string[] = []): Promise<PackedProject> {
  const folder = await temporaryFolder();
  const packageFile = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as PackageFile;
  const tarball = await pack(folder);
  const path = join(folder.path, "project");
  await mkdir(path);
  await writeFile(
    join(path, "package.json"),
    JSON.stringify({ name: "project", version: "1.0.0", private: true, type: "module" }),
  );
  const installedVersion = async (name: string) => {
    const text = await readFile(join(root, "node_modules", name, "package.json"), "utf8");
    return `${name}@${(JSON.parse(text) as { version: string }).version}`;
  };
  const versions = await Promise.all(
    ["@libsql/client", "drizzle-orm", "zod", "typescript", "@types/node", ...packages].map(
      installedVersion,
    ),
  );
  await run(
    "npm",
    [
      "install",
      "--prefer-offline",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      tarball,
      ...versions,
      "typescript-5@npm:typescript@5.9.3",
    ],
    { cwd: path },
  );
  return {
    path,
    tarball,
    installed: join(path, "node_modules/gorkflow"),
    packageFile,
    run: runIn(path),
    remove: () => folder.remove(),
  };
}

/**
 * A project with the built package, and links to `packages` as they are installed here. Without npm it is there in
 * a few seconds, for what does not depend on how packages are installed.
 */
export async function makeLinkedProject(packages: readonly string[]): Promise<Project> {
  const folder = await temporaryFolder();
  const modules = join(folder.path, "node_modules");
  await buildPackage(join(modules, "gorkflow"));
  for (const name of [...packages, ".bin"]) {
    const link = join(modules, name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, "node_modules", name), link);
  }
  return { path: folder.path, run: runIn(folder.path), remove: () => folder.remove() };
}

function runIn(path: string): Project["run"] {
  return async (program, args, { folder = ".", env = {} } = {}) => {
    try {
      const { stdout } = await run(program, args, {
        cwd: join(path, folder),
        env: { ...process.env, ...env },
      });
      return stdout;
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
      throw new Error(`${program} ${args.join(" ")}\n${stdout}${stderr}`, { cause: error });
    }
  };
}

/** Builds the package in a new folder: what is in it is what is published. */
async function buildPackage(target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const name of ["package.json", "README.md", "LICENSE", "drizzle"]) {
    await cp(join(root, name), join(target, name), { recursive: true });
  }
  const compiler = "node_modules/typescript/bin/tsc";
  const options = ["-p", "tsconfig.build.json", "--outDir", join(target, "dist")];
  await run(process.execPath, [compiler, ...options], { cwd: root });
}

async function pack(folder: TemporaryFolder): Promise<string> {
  const source = join(folder.path, "package");
  await buildPackage(source);
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder.path], {
    cwd: source,
  });
  const tarball = (await readdir(folder.path)).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  return join(folder.path, tarball);
}
