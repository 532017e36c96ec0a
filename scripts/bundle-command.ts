// Bundles the command `gorkflow` with the dependencies that only it needs, so that it starts fast and users of the
// library do not install them. Each subcommand loads its own chunks.
import { rm } from "node:fs/promises";
import { build } from "esbuild";
import { nodeBundle } from "./node-bundle.ts";

/** Native packages and packages of the app: the command loads them from where it is installed. */
const external = ["libsql", "@libsql/client", "@opentelemetry/api", "drizzle-kit", "jiti"];

// Some dependencies are CommonJS.
const requireInModules =
  'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);';

/** Writes `main.js` and its chunks to the folder, which is emptied first. */
export async function bundleCommand(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await build({
    ...nodeBundle,
    entryPoints: ["src/cli/main.ts"],
    outdir: folder,
    external,
    banner: { js: requireInModules },
  });
}
