// The store in a Durable Object, in workerd.
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { expect, test } from "vitest";

test("operations never see what an open transaction of the object has written", async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "programs/durable-object.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["workerd"],
    external: ["node:*"],
    logLevel: "error",
  });
  const miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text ?? "",
    compatibilityDate: "2026-01-01",
    compatibilityFlags: ["nodejs_compat"],
    durableObjects: { OBJECTS: { className: "Application", useSQLite: true } },
  });
  try {
    expect(await (await fetch(await miniflare.ready)).json()).toEqual({
      answers: [0, 0, 0, { revision: 1 }],
      state: { k: 1 },
    });
  } finally {
    await miniflare.dispose();
  }
});
