import { readFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Metafile } from "esbuild";
import type { ExampleApp } from "./example-app.ts";

export interface EdgeBundle {
  /** Imports that the bundle does not contain. */
  readonly missing: readonly string[];
  /** The packages and files in the bundle. */
  readonly inputs: readonly string[];
  readonly minifiedBytes: number;
  readonly gzippedBytes: number;
}

/**
 * Builds the worker with its own script. Missing modules are reported instead of rejected: a deployment may enable
 * Node's compatibility, and then only the running worker rejects `node:` imports.
 */
export async function buildWorker(app: ExampleApp): Promise<EdgeBundle> {
  const externals = ["node:*", "*.node", ...builtinModules].map((name) => `--external:${name}`);
  await app.on().script("build", "--metafile=meta.json", "--log-level=error", ...externals);
  const { outputs } = JSON.parse(await readFile(join(app.path, "meta.json"), "utf8")) as Metafile;
  const output = outputs["worker.js"];
  if (output === undefined) throw new Error("the build made no worker.js");
  const code = await readFile(join(app.path, "worker.js"));
  return {
    missing: [...new Set(output.imports.map(({ path }) => path))].toSorted(),
    inputs: Object.entries(output.inputs).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    ),
    minifiedBytes: code.length,
    gzippedBytes: gzipSync(code, { level: 9 }).length,
  };
}
