import { execFile } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { bundleCommand } from "../../scripts/bundle-command.ts";

const root = join(import.meta.dirname, "../..");

/** Builds the package that `npm publish` would upload into the folder. It does not touch `dist`. */
export async function buildPackage(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { files } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    readonly files: readonly string[];
  };
  const sources = files.filter((name) => name !== "dist");
  for (const name of ["package.json", "README.md", "LICENSE", ...sources]) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const options = ["-p", "tsconfig.build.json", "--outDir", join(folder, "dist")];
  await promisify(execFile)(process.execPath, [tsc, ...options], { cwd: root });
  await bundleCommand(join(folder, "dist/cli"));
}
