// What the bundles of the command and of the entries for Node have in common.
import { join, resolve } from "node:path";
import type { BuildOptions } from "esbuild";
import { withPage } from "./bundle-studio.ts";
import { rememberPackages } from "./licenses.ts";

const root = resolve(import.meta.dirname, "..");

/** Chunks of ES modules. */
export const nodeBundle = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  alias: { "#clients": join(root, "src/stores/libsql/clients.ts") },
  plugins: [withPage, rememberPackages],
  logLevel: "error",
} as const satisfies BuildOptions;
