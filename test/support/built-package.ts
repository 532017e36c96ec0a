import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readFile, rename, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { inject } from "vitest";
import { bundlePackage } from "../../scripts/bundle.ts";
import { writeCommonJsTypes } from "../../scripts/commonjs-types.ts";

const root = join(import.meta.dirname, "../..");

/**
 * The folder of the package that `npm publish` would upload. The first test that asks for it builds it, in any process
 * of the run. It is inside the project, so that it finds its packages. `dist` does not change.
 */
export async function builtPackage(): Promise<string> {
  const folder = join(inject("compiledPrograms"), "package");
  const lock = `${folder}.lock`;
  while (!existsSync(folder)) {
    const isFirst = await mkdir(lock).then(
      () => true,
      () => false,
    );
    if (!isFirst) {
      await pause(50);
      continue;
    }
    try {
      if (existsSync(folder)) continue;
      await build(`${folder}.partial`);
      await rename(`${folder}.partial`, folder);
    } finally {
      await rmdir(lock);
    }
  }
  return folder;
}

/** Copies the built package into a folder, which becomes its place among other packages. */
export async function copyPackage(folder: string): Promise<void> {
  await cp(await builtPackage(), folder, { recursive: true });
}

async function build(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { files } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    readonly files: readonly string[];
  };
  const sources = files.filter((name) => name !== "dist");
  for (const name of ["package.json", "README.md", "LICENSE", ...sources]) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  // `npm run check` has checked the types, which takes two thirds of the time.
  const options = ["-p", "tsconfig.build.json", "--noCheck", "--outDir", join(folder, "dist")];
  await promisify(execFile)(process.execPath, [tsc, ...options], { cwd: root });
  await bundlePackage(join(folder, "dist"));
  writeCommonJsTypes(folder);
}
