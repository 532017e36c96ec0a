// Bundles the entries of the package for Node, which needs more time to load many modules than to run them. Bundlers use
// the separate modules instead, of which they can omit those that an app does not need.
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { nodeBundle } from "./node-bundle.ts";

const root = resolve(import.meta.dirname, "..");

interface PackageFile {
  readonly exports: Readonly<Record<string, string | { readonly node: string; default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

/** Writes the entries for Node of the package, and the chunks that they share. The folder is emptied first. */
export async function bundleEntries(folder: string): Promise<void> {
  const text = readFileSync(join(root, "package.json"), "utf8");
  const { exports, dependencies, peerDependencies } = JSON.parse(text) as PackageFile;
  const entryPoints = Object.values(exports).flatMap((entry) => {
    if (typeof entry === "string") return [];
    const source = entry.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    return [{ in: source, out: entry.node.replace("./dist/node/", "").replace(/\.js$/, "") }];
  });
  const { uuid: _bundled, ...external } = { ...dependencies, ...peerDependencies };
  await rm(folder, { recursive: true, force: true });
  await build({
    ...nodeBundle,
    entryPoints,
    outdir: folder,
    external: Object.keys(external),
    alias: {
      ...nodeBundle.alias,
      // A part of zod, whose import would load the messages of all languages.
      "zod/mini": join(root, "node_modules/zod/mini/index.js"),
      "zod/v4/core": join(root, "node_modules/zod/v4/core/index.js"),
      "zod/v4/locales/en.js": join(root, "node_modules/zod/v4/locales/en.js"),
    },
  });
}
