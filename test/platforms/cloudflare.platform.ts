// The conformance suite in workerd, on D1 and in a Durable Object.
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, test } from "vitest";

let miniflare: Miniflare;
beforeAll(async () => {
  const folder = join(import.meta.dirname, "cloudflare");
  const { outputFiles } = await build({
    entryPoints: [join(folder, "worker.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["workerd"],
    external: ["node:*"],
    alias: { vitest: join(folder, "vitest.ts") },
    logLevel: "error",
  });
  miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text ?? "",
    compatibilityDate: "2026-01-01",
    compatibilityFlags: ["nodejs_compat"],
    d1Databases: ["DB"],
    durableObjects: { SUITE: { className: "Suite", useSQLite: true } },
  });
});
afterAll(() => miniflare?.dispose());

test.each(["d1", "durable-object"])("the contract is kept on %s", async (path) => {
  const url = new URL(`/${path}`, await miniflare.ready);
  const { cases, failures } = (await (await fetch(url)).json()) as {
    cases: number;
    failures: string[];
  };
  expect(failures).toEqual([]);
  expect(cases).toBeGreaterThan(150);
});
