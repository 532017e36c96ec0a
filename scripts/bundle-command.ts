// Bundles the command `gorkflow` with the dependencies that only it needs, so that it starts fast and users of the
// library do not install them. Each subcommand loads its own chunks.
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { withPage } from "./bundle-studio.ts";
import { rememberPackages } from "./licenses.ts";

const root = resolve(import.meta.dirname, "..");

/** Native packages and packages of the app: the command loads them from where it is installed. */
const external = ["libsql", "@libsql/client", "@opentelemetry/api", "drizzle-kit", "jiti"];

// Some dependencies are CommonJS.
const requireInModules =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/** Writes `main.js` and its chunks to the folder, which is emptied first. */
export async function bundleCommand(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: ["src/cli/main.ts"],
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    external,
    banner: { js: requireInModules },
    alias: { "#clients": join(root, "src/stores/libsql/clients.ts") },
    plugins: [withPage, rememberPackages],
    logLevel: "error",
  });
}
