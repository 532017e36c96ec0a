// The examples of apps on Drizzle after their upgrade to 1.0, and packages of Drizzle's that use our tables.
import { appendFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyExample, type RunningApp } from "../examples/support/example-app.ts";
import { startWorkerd } from "../examples/support/workerd.ts";
import { startSqld } from "../support/sqld.ts";
import { expectedAnswers } from "./app/app.ts";
import {
  drizzleVersions,
  makePlatformProject,
  versionIn,
  type PlatformProject,
} from "./support/platform-project.ts";

const root = join(import.meta.dirname, "../..");
const kit1 = await versionIn(join(root, "test/drizzle-1/node_modules"), "drizzle-kit");
const healthy = { healthy: true, findings: [] };

/** What an app changes in its code for Drizzle 1.0. */
const rewrites: Readonly<Record<string, Readonly<Record<string, readonly [RegExp, string][]>>>> = {
  "app-generates": {
    "schema.ts": [
      [
        /import { relations } from "drizzle-orm";/,
        'import { defineRelations } from "drizzle-orm";',
      ],
      [/(import { workflowRuns })/, 'import { workflowRelations } from "gorkflow/relations";\n$1'],
      [/import { workflowRuns } /, "import { schema, workflowRuns } "],
      [
        /export const invoicesRelations = [^]*/,
        `export const relations = {
          ...defineRelations({ ...schema, invoices }, (r) => ({
            invoices: { run: r.one.workflowRuns({ from: r.invoices.runId, to: r.workflowRuns.runId }) },
          })),
          ...workflowRelations,
        };`,
      ],
    ],
    "main.ts": [
      [/client, schema/, "client, relations: schema.relations"],
      [/where: .*/, "where: { invoiceId },"],
    ],
  },
  "app-generates-prefixed": {
    "schema.ts": [
      [/import { createWorkflowRelations, /, "import { "],
      [/export const {\n {2}workflowRunsRelations[^]*/, ""],
    ],
    "main.ts": [[/client, schema/, "client"]],
  },
  "app-migrates": { "database.ts": [[/client, schema/, "client"]] },
  "store-migrates": { "main.ts": [[/, schema: { orders }/, ""]] },
};

describe("an example that is upgraded to Drizzle 1.0", () => {
  let project: PlatformProject;
  beforeAll(async () => {
    const modules = join(root, "node_modules");
    const packages = { "drizzle-kit": kit1, tsx: await versionIn(modules, "tsx") };
    project = await makePlatformProject("1.0", { packages });
  });
  afterAll(() => project?.remove());

  async function upgrade(name: string) {
    const { path, on } = await copyExample(project, name);
    for (const [file, changes] of Object.entries(rewrites[name] ?? {})) {
      let text = await readFile(join(path, file), "utf8");
      for (const [from, to] of changes) {
        expect(text).toMatch(from);
        text = text.replace(from, to);
      }
      await writeFile(join(path, file), text);
    }
    const app = on();
    await expect(app.command("gorkflow", "check")).rejects.toThrow(
      /LAYOUT_OF_OTHER_VERSION.*run `drizzle-kit up`/s,
    );
    await app.command("drizzle-kit", "up");
    await app.command("drizzle-kit", "generate", "--name", "upgrade");
    await addChangedIndexes(app, path);
    expect(await app.command("gorkflow", "check", "--record")).toMatch(
      /creates exactly the schema/,
    );
    await app.command("drizzle-kit", "check");
    return { path, app };
  }

  /** drizzle-kit 1.0 writes no SQL for them; the remedy of each problem has it. */
  async function addChangedIndexes(app: RunningApp, path: string): Promise<void> {
    const command = "gorkflow check --record --json || true";
    const report = JSON.parse(await app.command("sh", "-c", command)) as {
      problems: { code: string; file: string; remedy: string }[];
    };
    for (const { code, file, remedy } of report.problems) {
      expect(code).toBe("SQL_INCOMPLETE");
      const statements = (remedy.split(": ")[1] ?? "").split(/(?<=;) /);
      const sql = statements.map((text) => `\n--> statement-breakpoint\n${text}`).join("");
      await appendFile(join(path, "drizzle", file), sql);
    }
    if (report.problems.length === 0) return;
    const tags = new Set(report.problems.map(({ file }) => file.split("/")[0] ?? ""));
    await app.command("sh", "-c", `gorkflow check --record ${[...tags].join(" ")}`);
  }

  const diagnose = async (app: RunningApp, ...options: readonly string[]) =>
    JSON.parse(await app.command("gorkflow", "doctor", "--json", ...options)) as unknown;

  test("store-migrates", async () => {
    const { app } = await upgrade("store-migrates");
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject([{ status: "COMPLETED" }]);
    await app.script("push", "--force");
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toHaveLength(2);
    expect(await diagnose(app)).toEqual(healthy);
  });

  test("app-migrates", async () => {
    const { app } = await upgrade("app-migrates");
    expect(await app.script("deploy")).toMatch(/applied: 0000_initial/);
    await app.command("drizzle-kit", "push", "--force");
    expect(JSON.parse(await app.script("start"))).toMatchObject({ status: "COMPLETED" });
    expect(await app.script("deploy")).toBe("applied: nothing\n");
    expect(await diagnose(app)).toEqual(healthy);
  });

  // drizzle-kit 1.0 leaves out NOT NULL on a text key; nothing of ours inserts NULL there.
  const withoutNotNull = { code: "COLUMN_CHANGED", severity: "warning" };
  async function expectHealth(app: RunningApp, options: readonly string[]): Promise<void> {
    const { healthy: isHealthy, findings } = (await diagnose(app, ...options)) as typeof healthy;
    expect(isHealthy).toBe(true);
    expect(findings).toEqual(findings.map(() => expect.objectContaining(withoutNotNull)));
  }

  test.each([
    ["app-generates", [], { status: "COMPLETED" }],
    ["app-generates-prefixed", ["--prefix", "build_"], { branch: "main", passed: true }],
  ] as const)("%s", async (name, options, shown) => {
    const { path, app } = await upgrade(name);
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject(shown);
    await expectHealth(app, options);
    // As an app that has begun with 1.0.
    await rm(join(path, "drizzle"), { recursive: true });
    await rm(join(path, "app.db"));
    await app.script("generate", "--name", "all");
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject(shown);
    await expectHealth(app, options);
  });

  test("annotations for GitHub Actions name the file of an edited migration", async () => {
    const { path, on } = await copyExample(project, "store-migrates", "annotated");
    const app = on();
    await app.command("drizzle-kit", "up");
    await app.command("gorkflow", "check", "--record");
    const names = await readdir(join(path, "drizzle"));
    const tag = names.find((name) => name.endsWith("_orders")) ?? "";
    const file = join(path, "drizzle", tag, "migration.sql");
    await writeFile(file, `${await readFile(file, "utf8")}\n-- edited`);
    const checked = app.command("gorkflow", "check", "--format", "github");
    await expect(checked).rejects.toThrow(
      /::error file=drizzle\/\d{14}_orders\/migration\.sql,title=MIGRATION_EDITED::/,
    );
  });
});

test("the oldest versions of the peers run an app and check its migrations", async () => {
  const packages = { "drizzle-orm": "0.44.0", "drizzle-kit": "0.31.0" };
  const project = await makePlatformProject("0.45", { packages });
  try {
    await project.compile(["app", "main"]);
    expect(JSON.parse(await project.run(process.execPath, ["main.js"]))).toEqual(expectedAnswers);
    const app = (await copyExample(project, "app-generates")).on();
    // Writes what the schema has had since the example was made.
    await app.script("generate", "--name", "upgrade");
    expect(await app.command("gorkflow", "check")).toMatch(/creates exactly the schema/);
  } finally {
    await project.remove();
  }
});

const seeds = { "0.45": "0.3.1", "1.0": "1.0.0-rc.4" };

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  let project: PlatformProject;
  beforeAll(async () => {
    const modules = join(root, "node_modules");
    const packages = {
      "drizzle-seed": seeds[version],
      "drizzle-zod": await versionIn(modules, "drizzle-zod"),
      esbuild: await versionIn(modules, "esbuild"),
      tsx: await versionIn(modules, "tsx"),
    };
    if (version === "1.0") delete (packages as Partial<typeof packages>)["drizzle-zod"];
    project = await makePlatformProject(version, { packages });
  });
  afterAll(() => project?.remove());

  test("drizzle-seed fills our tables, and the store reads its rows", async () => {
    const zod = version === "1.0" ? "drizzle-orm/zod" : "drizzle-zod";
    await project.write({
      "seed.js": `
        import { drizzle } from "drizzle-orm/libsql";
        import { createSelectSchema } from "${zod}";
        import { seed } from "drizzle-seed";
        import { LibSQLStore } from "gorkflow";
        import { createClient } from "gorkflow/client";
        import { migrate } from "gorkflow/migrations";
        import { runStatuses, stepExecutions, stepStatuses, workflowRuns } from "gorkflow/schema";

        const client = createClient("file:./seeded.db");
        await migrate(client);
        const db = drizzle({ client });
        await seed(db, { workflowRuns, stepExecutions }, { count: 20 }).refine((f) => ({
          workflowRuns: {
            columns: {
              status: f.valuesFromArray({ values: [...runStatuses] }),
              progress: f.number({ minValue: 0, maxValue: 1, precision: 100 }),
              tags: f.default({ defaultValue: { seeded: "yes" } }),
              error: f.default({ defaultValue: null }),
            },
          },
          stepExecutions: {
            columns: {
              status: f.valuesFromArray({ values: [...stepStatuses] }),
              durationMs: f.int({ minValue: 0, maxValue: 1000 }),
              error: f.default({ defaultValue: null }),
            },
          },
        }));
        const store = new LibSQLStore(db);
        const { runs, corrupt } = await store.listRuns({ limit: 100, payloads: true, tags: { seeded: "yes" } });
        const rows = await db.select().from(workflowRuns);
        const parsed = rows.map((row) => createSelectSchema(workflowRuns).parse(row));
        console.log(JSON.stringify({ runs: runs.length, corrupt, parsed: parsed.length }));
        client.close();`,
    });
    expect(JSON.parse(await project.run(process.execPath, ["seed.js"]))).toEqual({
      runs: 20,
      corrupt: [],
      parsed: 20,
    });
  });

  test("workerd runs workflows on a server", async () => {
    const app = await copyExample(project, "edge-worker");
    const server = await startSqld();
    await app.on(server.httpUrl).script("deploy");
    await app.on().script("build");
    const config = join(app.path, "config.capnp");
    const worker = await startWorkerd(config, { DATABASE_URL: server.httpUrl });
    try {
      const body = JSON.stringify({ email: "ada@example.com", plan: "team" });
      const response = await fetch(`${worker.url}/sign-ups`, { method: "POST", body });
      expect(await response.json()).toMatchObject({ status: "COMPLETED" });
      const report = await fetch(`${worker.url}/report`);
      expect(await report.json()).toMatchObject([{ workflowId: "sign-up", created: 1 }]);
      expect(worker.complaints).toBe("");
    } finally {
      await worker.stop();
      await server.stop();
    }
  });
});
