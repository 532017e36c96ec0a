import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeLinkedProject, type Project } from "../packaging/support/packed-project.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { buildWorker, type EdgeBundle } from "./support/edge-bundle.ts";
import { copyExample, type ExampleApp } from "./support/example-app.ts";
import { startWorkerd, type Workerd } from "./support/workerd.ts";

let project: Project;
let app: ExampleApp;
let bundle: EdgeBundle;
let server: Sqld;
let worker: Workerd;
beforeAll(async () => {
  const packages = ["@libsql/client", "drizzle-orm", "libsql", "uuid", "zod"];
  [project, server] = await Promise.all([makeLinkedProject(packages), startSqld()]);
  app = await copyExample(project, "edge-worker");
  bundle = await buildWorker(app);
  await app.on(server.httpUrl).script("deploy");
  worker = await startWorkerd(join(app.path, "config.capnp"), { DATABASE_URL: server.httpUrl });
}, 180_000);
afterAll(async () => {
  await worker?.stop();
  await server?.stop();
  await project?.remove();
});

async function ask(path: string, body?: unknown): Promise<{ status: number; answer: unknown }> {
  const response = await fetch(
    `${worker.url}${path}`,
    body === undefined ? {} : { method: "POST", body: JSON.stringify(body) },
  );
  return { status: response.status, answer: await response.json() };
}

describe("the bundle", () => {
  test("contains and imports no Node module and no native module", () => {
    // The engine imports OpenTelemetry at run time if it exists.
    expect(bundle.missing).toEqual(["@opentelemetry/api"]);
    const native =
      /node_modules\/(libsql|@libsql\/linux|@neon-rs)\/|\.node$|dist\/client\/write-queue/;
    expect(bundle.inputs.filter((path) => native.test(path))).toEqual([]);
  });

  test("contains one locale of zod", () => {
    const locales = bundle.inputs.filter((path) => path.includes("/zod/v4/locales/"));
    expect(locales.map((path) => path.replace(/.*\//, ""))).toEqual(["en.js"]);
  });

  test("is smaller than 137 KB when compressed", () => {
    const [minified, gzipped] = [bundle.minifiedBytes, bundle.gzippedBytes];
    console.info(`edge bundle: ${minified} bytes minified, ${gzipped} bytes with gzip`);
    expect(gzipped).toBeLessThan(137_000);
  });

  test.each([
    ['import "node:fs";', "node:fs"],
    ['import { createClient } from "gorkflow/client"; console.log(createClient);', "node:fs"],
  ])("is rejected with %s", async (planted, found) => {
    const spoiled = await copyExample(project, "edge-worker", `spoiled-${planted.length}`);
    await appendFile(join(spoiled.path, "main.ts"), planted);
    expect((await buildWorker(spoiled)).missing).toContain(found);
  });
});

describe("in workerd", () => {
  test("a workflow runs within the request, and its rows are on the server", async () => {
    const { status, answer } = await ask("/sign-ups", { email: "ada@example.com", plan: "team" });
    expect(answer).toMatchObject({
      status: "COMPLETED",
      output: { greeting: "Welcome, ada@example.com: 10 of 10 seats" },
    });
    expect(status).toBe(200);
    const steps = await app.on(server.httpUrl).withDatabase(async (client) => {
      const { rows } = await client.execute(
        "select step_id, status from step_executions order by execution_index",
      );
      return rows.map((row) => [row["step_id"], row["status"]]);
    });
    expect(steps).toEqual([
      ["admit", "COMPLETED"],
      ["greet", "COMPLETED"],
    ]);
  });

  test("a run is created and listed, and reports are made", async () => {
    const { status, answer: created } = await ask("/queue", { file: "people.csv" });
    expect(status).toBe(202);
    const { runId } = created as { runId: string };
    const { answer: runs } = await ask("/runs");
    expect(runs).toContainEqual({ runId, workflowId: "import", status: "PENDING" });
    const { answer: report } = await ask("/report");
    expect(report).toContainEqual(expect.objectContaining({ workflowId: "import", created: 1 }));
  });

  test("twenty concurrent requests have a store each", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        ask("/sign-ups", { email: `${at}@example.com`, plan: "free" }),
      ),
    );
    expect(answers.map(({ answer }) => (answer as { status: string }).status)).toEqual(
      Array.from({ length: 20 }, () => "COMPLETED"),
    );
  });

  test("an input that does not match the workflow is rejected by name", async () => {
    const { status, answer } = await ask("/sign-ups", { email: "nobody", plan: "free" });
    expect(status).toBe(400);
    expect(answer).toMatchObject({ error: "INVALID_ARGUMENT" });
  });

  test.each([
    [{ DATABASE_URL: "file:./workflows.db" }, "UNSUPPORTED"],
    [{ DATABASE_URL: ":memory:" }, "UNSUPPORTED"],
  ])("%j is unsupported there and rejected", async (env, code) => {
    const misled = await startWorkerd(join(app.path, "config.capnp"), env);
    try {
      const response = await fetch(`${misled.url}/runs`);
      expect(await response.json()).toMatchObject({ error: code });
    } finally {
      await misled.stop();
    }
  });

  test("the runtime reported no problems", () => {
    expect(worker.complaints).toBe("");
  });
});
