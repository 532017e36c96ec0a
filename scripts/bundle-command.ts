// Bundles the command `gorkflow` with what only it needs, so that it starts at once and the library's users do not
// install its dependencies. Each subcommand loads its own chunks.
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");

/** What is loaded from where the package is installed: native code, and what belongs to the app. */
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
    logLevel: "error",
  });
}

if (process.argv[1] === import.meta.filename) await bundleCommand(join(root, "dist/cli"));
