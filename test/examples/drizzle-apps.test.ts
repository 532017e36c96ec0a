import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { doctor, type DoctorOptions } from "../../src/migrations/doctor.ts";
import { migrationsTable } from "../../src/migrations/journal.ts";
import { createWorkflowTables } from "../../src/schema/tables.ts";
import { makePackedProject, type PackedProject } from "../packaging/support/packed-project.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { copyExample, type ExampleApp, type RunningApp } from "./support/example-app.ts";

const names = [
  "store-migrates",
  "app-migrates",
  "app-generates",
  "app-generates-prefixed",
] as const;

let project: PackedProject;
let apps: Readonly<Record<string, ExampleApp>>;
beforeAll(async () => {
  project = await makePackedProject(["drizzle-kit", "tsx"]);
  apps = Object.fromEntries(
    await Promise.all(
      names.map(async (name) => {
        const app = await copyExample(project, name);
        // What a new version of the package has brought since the example's last migration.
        await app.on().script("generate", "--name", "upgrade");
        return [name, app] as const;
      }),
    ),
  );
}, 180_000);
afterAll(() => project?.remove());

const diagnose = (app: RunningApp, options?: DoctorOptions) =>
  app.withDatabase((client) => doctor(client, options));

const count = (app: RunningApp, table: string) =>
  app.withDatabase(async (client) =>
    Number((await client.execute(`select count(*) from ${table}`)).rows[0]?.[0]),
  );

const healthy = { healthy: true, findings: [] };

test.each(names)("%s: its drizzle-kit has nothing more to generate", async (name) => {
  const app = apps[name]?.on() as RunningApp;
  expect(await app.script("generate")).toMatch(/No schema changes, nothing to migrate/);
  await app.command("drizzle-kit", "check");
});

describe.each(["a file", "a server"])("on %s", (backend) => {
  let server: Sqld | null = null;
  afterEach(async () => {
    await server?.stop();
    server = null;
  });

  async function run(name: string): Promise<RunningApp> {
    if (backend === "a server") server = await startSqld();
    return (apps[name] as ExampleApp).on(server?.httpUrl);
  }

  test("an app beside a store that migrates itself: no command of its drizzle-kit touches our tables", async () => {
    const app = await run("store-migrates");
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject([{ status: "COMPLETED" }]);
    await app.script("push", "--force");
    await app.script("migrate");
    expect(await count(app, "step_executions")).toBe(2);
    expect(await diagnose(app)).toEqual(healthy);
  });

  test("an app that migrates the store's tables: refused before, at work after", async () => {
    const app = await run("app-migrates");
    await expect(app.script("start")).rejects.toThrow(
      /lacks workflow_runs.*run `gorkflow migrate`/,
    );
    expect(await app.script("deploy")).toMatch(/applied: 0000_initial/);
    await app.command("drizzle-kit", "push", "--force");
    expect(JSON.parse(await app.script("start"))).toEqual({
      status: "COMPLETED",
      received: [{ subject: "Welcome, Ada" }],
    });
    expect(await count(app, "letters")).toBe(1);
    expect(await diagnose(app)).toEqual(healthy);
    expect(await app.script("deploy")).toBe("applied: nothing\n");
  });

  test.each([
    {
      name: "app-generates",
      options: {},
      prefix: "",
      shown: { status: "COMPLETED", receipt: { receipt: expect.stringMatching(/\/4200$/) } },
    },
    {
      name: "app-generates-prefixed",
      options: { tables: createWorkflowTables({ prefix: "build_" }) },
      prefix: "build_",
      shown: { branch: "main", passed: true },
    },
  ])("$name: its own drizzle-kit makes our tables, and the doctor agrees", async (example) => {
    const app = await run(example.name);
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject(example.shown);
    await expect(app.command("drizzle-kit", "push", "--force")).rejects.toThrow(/already exists/);
    expect(await diagnose(app, example.options)).toEqual(healthy);
    expect(await count(app, `${example.prefix}step_executions`)).toBe(1);
    expect(await count(app, `sqlite_schema where name = '${migrationsTable}'`)).toBe(0);
  });
});

test("without its tablesFilter, an app's push drops what is not in its schema", async () => {
  const { path, on } = await copyExample(project, "store-migrates", "without-filter");
  const app = on();
  await app.script("migrate");
  await app.script("start");
  const config = join(path, "drizzle.config.ts");
  await writeFile(config, (await readFile(config, "utf8")).replace(/^.*tablesFilter.*$/m, ""));
  await app.script("push", "--force");
  const codes = (await diagnose(app)).findings.map(({ code }) => code);
  expect(new Set(codes)).toEqual(new Set(["TABLE_MISSING"]));
  expect(await count(app, "orders")).toBe(1);
});
