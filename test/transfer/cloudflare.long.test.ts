// Transfer between D1 and a Durable Object, in workerd.
import { join } from "node:path";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { expect, test } from "vitest";

async function ask(path: string): Promise<unknown> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "../platforms/cloudflare/transfer.ts")],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    conditions: ["workerd"],
    external: ["node:*", "@opentelemetry/api"],
    logLevel: "error",
  });
  const miniflare = new Miniflare({
    modules: true,
    script: outputFiles[0]?.text ?? "",
    compatibilityDate: "2026-01-01",
    compatibilityFlags: ["nodejs_compat"],
    d1Databases: ["DB"],
    durableObjects: { SHARDS: { className: "Shard", useSQLite: true } },
  });
  try {
    return await (await fetch(new URL(path, await miniflare.ready))).json();
  } finally {
    await miniflare.dispose();
  }
}

test("runs are copied, exported and imported between D1 and a Durable Object", async () => {
  expect(await ask("/transfer")).toEqual({
    copied: true,
    imported: true,
    returned: true,
    runs: 12,
  });
});

test("a mirror keeps D1 equal to a Durable Object, and the other way round after a switch", async () => {
  expect(await ask("/mirror")).toEqual({
    followed: true,
    differing: 2,
    // It cannot be replaced safely without a transaction.
    refused: [["r1", "UNSUPPORTED"]],
    repaired: true,
    isSwitched: true,
    followedBack: true,
    isBack: true,
    equal: true,
    failures: 0,
  });
});
