import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { builtPackage, copyPackage } from "../../support/built-package.ts";
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
  /** Runs a program in the project or in a folder of it. Rejects with its output if it fails. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
  remove(): Promise<void>;
}

/** A project that has installed the packed package, its peers and TypeScript. */
export interface PackedProject extends Project {
  readonly tarball: string;
  /** The path of the installed package. */
  readonly installed: string;
  readonly packageFile: PackageFile;
}

/**
 * Packs the package and installs it with its peers and `packages`, in the versions that this project has.
 */
export async function makePackedProject(packages: readonly string[] = []): Promise<PackedProject> {
  const folder = await temporaryFolder();
  const packageFile = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as PackageFile;
  const tarball = await packPackage(folder);
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
 * Creates a project with the built package and links to `packages` of this project, and by name to `links`. It takes a
 * few seconds, because npm installs nothing.
 */
export async function makeLinkedProject(
  packages: readonly string[],
  { links = {} }: { readonly links?: Readonly<Record<string, string>> } = {},
): Promise<Project> {
  const folder = await temporaryFolder();
  const modules = join(folder.path, "node_modules");
  await copyPackage(join(modules, "gorkflow"));
  const installed = [...packages, ".bin"].map((name) => [name, `node_modules/${name}`] as const);
  for (const [name, target] of [...installed, ...Object.entries(links)]) {
    const link = join(modules, name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, target), link);
  }
  return { path: folder.path, run: runIn(folder.path), remove: () => folder.remove() };
}

/** The compiler options of a strict app. */
export function strictOptions(resolution: string) {
  return {
    module: resolution === "bundler" ? "esnext" : "nodenext",
    moduleResolution: resolution,
    moduleDetection: "force",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
  };
}

/** Runs programs in a folder. */
export function runIn(path: string): Project["run"] {
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

/** Packs the package as `npm publish` does, and returns the path of the tarball. */
export async function packPackage(folder: TemporaryFolder): Promise<string> {
  await run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder.path], {
    cwd: await builtPackage(),
  });
  const tarball = (await readdir(folder.path)).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack made no tarball");
  return join(folder.path, tarball);
}
