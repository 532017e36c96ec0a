// Makes the bundles of the package from its compiled modules, and writes the licenses of the packages in them.
import { join, resolve } from "node:path";
import { bundleCommand } from "./bundle-command.ts";
import { bundleEntries } from "./bundle-entries.ts";
import { bundleStudio } from "./bundle-studio.ts";
import { writeLicenses } from "./licenses.ts";

/** Completes the folder `dist` of a package. */
export async function bundlePackage(dist: string): Promise<void> {
  await bundleCommand(join(dist, "cli"));
  await bundleStudio(dist);
  await bundleEntries(join(dist, "node"));
  writeLicenses(join(dist, "LICENSES.txt"));
}

if (process.argv[1] === import.meta.filename) {
  await bundlePackage(join(resolve(import.meta.dirname, ".."), "dist"));
}
