// The examples on Cloudflare's databases, in workerd.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Miniflare, type MiniflareOptions } from "miniflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrationsFolder } from "../../src/migrations/migrations-folder.ts";
import { makeLinkedProject, type Project } from "../packaging/support/packed-project.ts";
import { buildWorker, type EdgeBundle } from "./support/edge-bundle.ts";
import { copyExample } from "./support/example-app.ts";

let project: Project;
const started: Miniflare[] = [];
beforeAll(async () => {
  project = await makeLinkedProject(["@libsql/client", "drizzle-orm", "uuid", "zod"]);
});
afterAll(async () => {
  await Promise.all(started.map((each) => each.dispose()));
  await project?.remove();
});

async function start(
  name: string,
  options: Partial<MiniflareOptions>,
  edit: (path: string) => Promise<void> = async () => {},
) {
  const app = await copyExample(project, name);
  await edit(app.path);
  // As the app builds it: modules that cannot be found would fail this build, even if nothing of them is used.
  await app.on().script("build", "--log-level=error");
  const bundle = await buildWorker(app);
  const contents = await readFile(join(app.path, "worker.js"), "utf8");
  const miniflare = new Miniflare({
    // A list, because miniflare would look for the modules of dynamic imports.
    modules: [{ type: "ESModule", path: "worker.js", contents }],
    compatibilityDate: "2026-01-01",
    ...options,
  } as MiniflareOptions);
  started.push(miniflare);
  const url = await miniflare.ready;
  const ask = async (path: string, body?: unknown) => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    return (await fetch(new URL(path, url), init)).json() as Promise<never>;
  };
  return { bundle, miniflare, ask };
}

function expectEdgeBundle({ missing, inputs, gzippedBytes }: EdgeBundle): void {
  // The engine imports OpenTelemetry at run time if it exists.
  expect(missing).toEqual(["@opentelemetry/api"]);
  const native = /node_modules\/(libsql|@libsql|@neon-rs)\/|\.node$|dist\/client\/write-queue/;
  expect(inputs.filter((path) => native.test(path))).toEqual([]);
  console.info(`${gzippedBytes} bytes with gzip`);
  expect(gzippedBytes).toBeLessThan(107_000);
}

describe("d1-worker", () => {
  test("starts runs in requests, and executes them in a cron trigger", async () => {
    const { bundle, miniflare, ask } = await start("d1-worker", { d1Databases: ["DB"] });
    expectEdgeBundle(bundle);
    const db = await miniflare.getD1Database("DB");
    const files = (await readdir(migrationsFolder)).filter((name) => name.endsWith(".sql"));
    for (const name of files.toSorted()) {
      await db.prepare(await readFile(join(migrationsFolder, name), "utf8")).run();
    }
    expect(await ask("/", { email: "nobody" })).toMatchObject({ error: "INVALID_ARGUMENT" });
    const { runId } = (await ask("/", { email: "ada@example.com", plan: "team" })) as {
      runId: string;
    };
    expect(await ask(`/${runId}`)).toMatchObject({ status: "PENDING" });
    const worker = (await miniflare.getWorker()) as unknown as {
      scheduled(): Promise<{ outcome: string }>;
    };
    expect(await worker.scheduled()).toMatchObject({ outcome: "ok" });
    expect(await ask(`/${runId}`)).toMatchObject({
      status: "COMPLETED",
      output: { greeting: "Welcome, ada@example.com: 10 of 10 seats" },
    });
  });
});

/** Its first attempt ends after a heartbeat, with the object, so that the lease ends after the alarm. */
const evictingWorkflow = `
import { defineStep, defineWorkflow } from "gorkflow";
import * as z from "zod/mini";

const step = defineStep({
  id: "remind",
  input: z.object({ orderId: z.string(), reminderMs: z.int() }),
  output: z.object({ reminded: z.string() }),
  async run({ orderId }) {
    globalThis.attempts = (globalThis.attempts ?? 0) + 1;
    if (globalThis.attempts === 1) {
      await new Promise((resolve) => setTimeout(resolve, 1200));
      globalThis.object.abort("evicted");
    }
    return { reminded: orderId };
  },
});
export const reminder = defineWorkflow({ id: "reminder" }).step(step).build();
`;

describe("durable-object", () => {
  test("wakes a sleeping run by an alarm, and each object has its own runs", async () => {
    const { bundle, ask } = await start("durable-object", {
      durableObjects: { CUSTOMERS: { className: "Customer", useSQLite: true } },
    });
    expectEdgeBundle(bundle);
    // A worker waits for shorter times.
    const order = { orderId: "a", reminderMs: 10_000 };
    expect(await ask("/ada", order)).toMatchObject([{ status: "PENDING" }]);
    expect(await ask("/bob")).toEqual([]);
    await expect
      .poll(() => ask("/ada"), { timeout: 60_000 })
      .toMatchObject([{ status: "COMPLETED", output: { reminded: "a" } }]);
  });

  test("resumes a run after the object was evicted during a step", async () => {
    const { ask } = await start(
      "durable-object",
      { durableObjects: { CUSTOMERS: { className: "Customer", useSQLite: true } } },
      async (path) => {
        const main = await readFile(join(path, "main.ts"), "utf8");
        const evictable = main
          .replace("leaseMs = 30_000", "leaseMs = 1500")
          .replace("constructor(state: State) {", "$&\nglobalThis.object = state;");
        expect(evictable).toContain("leaseMs = 1500;");
        expect(evictable).toContain("globalThis.object");
        await writeFile(join(path, "main.ts"), evictable);
        await writeFile(join(path, "workflow.ts"), evictingWorkflow);
      },
    );
    await expect(ask("/ada", { orderId: "a", reminderMs: 0 })).rejects.toThrow();
    await expect
      .poll(() => ask("/ada"), { timeout: 60_000 })
      .toMatchObject([{ status: "COMPLETED", output: { reminded: "a" } }]);
  });
});
