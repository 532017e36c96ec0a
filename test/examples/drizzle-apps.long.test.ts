import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { recordMigrationHashes } from "../../src/migrations/check/migration-folder.ts";
import { migrationsTable } from "../../src/migrations/journal.ts";
import { makePackedProject, type PackedProject } from "../packaging/support/packed-project.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { copyExample, type ExampleApp, type RunningApp } from "./support/example-app.ts";

const names = [
  "store-migrates",
  "app-migrates",
  "app-generates",
  "app-generates-prefixed",
  "invoicing",
] as const;

let project: PackedProject;
let apps: Readonly<Record<string, ExampleApp>>;
beforeAll(async () => {
  project = await makePackedProject(["drizzle-kit", "tsx"]);
  apps = Object.fromEntries(
    await Promise.all(
      names.map(async (name) => {
        const app = await copyExample(project, name);
        // Generates what the package has changed since the example's last migration.
        await app.on().script("generate", "--name", "upgrade");
        return [name, app] as const;
      }),
    ),
  );
}, 180_000);
afterAll(() => project?.remove());

const diagnose = async (app: RunningApp, ...options: readonly string[]): Promise<unknown> =>
  JSON.parse(await app.command("gorkflow", "doctor", "--json", ...options));

const count = (app: RunningApp, table: string) =>
  app.withDatabase(async (client) =>
    Number((await client.execute(`select count(*) from ${table}`)).rows[0]?.[0]),
  );

const healthy = { healthy: true, findings: [] };

test.each(names)("%s: its drizzle-kit has nothing more to generate", async (name) => {
  const app = apps[name]?.on() as RunningApp;
  const output = await app.script("generate");
  expect(output).toMatch(/No schema changes, nothing to migrate/);
  expect(output).toMatch(/creates exactly the schema/);
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

  test("an app whose store migrates itself: no command of its drizzle-kit touches our tables", async () => {
    const app = await run("store-migrates");
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject([{ status: "COMPLETED" }]);
    await app.script("push", "--force");
    await app.script("migrate");
    expect(await count(app, "step_executions")).toBe(2);
    expect(await diagnose(app)).toEqual(healthy);
  });

  test("an app that migrates the store's tables: the store rejects the database before, and works after", async () => {
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
      options: [],
      prefix: "",
      steps: 1,
      shown: { status: "COMPLETED", receipt: { receipt: expect.stringMatching(/\/4200$/) } },
    },
    {
      name: "invoicing",
      options: [],
      prefix: "",
      steps: 2,
      shown: {
        status: "COMPLETED",
        receipt: { receipt: expect.stringMatching(/\/4200$/) },
        country: "GB",
        bought: ["2 × A lamp"],
        entries: [
          { accountName: "bank", amount: 4200 },
          { accountName: "receivables", amount: -4200 },
        ],
      },
    },
    {
      name: "app-generates-prefixed",
      options: ["--prefix", "build_"],
      prefix: "build_",
      steps: 1,
      shown: { branch: "main", passed: true },
    },
  ])("$name: its own drizzle-kit makes our tables, and the doctor agrees", async (example) => {
    const app = await run(example.name);
    await app.script("migrate");
    expect(JSON.parse(await app.script("start"))).toMatchObject(example.shown);
    await expect(app.command("drizzle-kit", "push", "--force")).rejects.toThrow(/already exists/);
    expect(await diagnose(app, ...example.options)).toEqual(healthy);
    expect(await count(app, `${example.prefix}step_executions`)).toBe(example.steps);
    expect(await count(app, `sqlite_schema where name = '${migrationsTable}'`)).toBe(0);
  });
});

test("a push that creates the app's tables again, and a second push, leave our tables unchanged", async () => {
  const { path, on } = await copyExample(project, "store-migrates", "with-changes");
  const app = on();
  await app.script("migrate");
  await app.script("start");
  const schema = join(path, "schema.ts");
  const text = await readFile(schema, "utf8");
  const changed = text
    .replace('text("item").notNull()', 'text("item").notNull().default("lamp")')
    .concat('export const notes = sqliteTable("notes", { text: text("text") });\n');
  await writeFile(schema, changed);
  await app.script("push", "--force");
  expect(await count(app, "notes")).toBe(0);
  expect(await count(app, "sqlite_schema where name = 'orders' and sql like '%lamp%'")).toBe(1);
  expect([await count(app, "orders"), await count(app, "workflow_runs")]).toEqual([1, 1]);
  expect(await count(app, "step_executions")).toBe(2);
  expect(await diagnose(app)).toEqual(healthy);
});

test("without its tablesFilter, an app's push drops what is not in its schema", async () => {
  const { path, on } = await copyExample(project, "store-migrates", "without-filter");
  const app = on();
  await app.script("migrate");
  await app.script("start");
  const config = join(path, "drizzle.config.ts");
  await writeFile(config, (await readFile(config, "utf8")).replace(/^.*tablesFilter.*$/m, ""));
  await app.script("push", "--force");
  await expect(diagnose(app)).rejects.toThrow(/TABLE_MISSING.*workflow_runs/s);
  expect(await count(app, "orders")).toBe(1);
});

describe("the commands of the workflow in docs/migrations-in-ci.md", () => {
  let commands: string[];
  let copies = 0;
  beforeAll(async () => {
    const page = await readFile(
      join(import.meta.dirname, "../../docs/migrations-in-ci.md"),
      "utf8",
    );
    commands = [...page.matchAll(/^ +(?:- )?run: npx (.+)$/gm)].map(([, command = ""]) => command);
    expect(commands).toHaveLength(4);
  });

  /** The name and the output of the first command that fails; null if none does. */
  async function runWorkflow(app: RunningApp): Promise<string | null> {
    for (const command of commands) {
      try {
        await app.command("sh", "-c", command);
      } catch (error) {
        return `${command}: ${String(error)}`;
      }
    }
    return null;
  }

  async function copyWith(plant: (edit: EditFile, path: string) => Promise<unknown>) {
    const generated = apps["app-generates"]?.path;
    const { path, on } = await copyExample(
      project,
      "app-generates",
      `in-ci-${copies++}`,
      generated,
    );
    await plant(async (name, change) => {
      const file = join(path, name);
      await writeFile(file, change(await readFile(file, "utf8")));
    }, path);
    return on();
  }

  test("pass if nothing is wrong", async () => {
    expect(await runWorkflow(await copyWith(async () => {}))).toBeNull();
  });

  test("pass after one of two branches has generated its migration again", async () => {
    let change: EditFile = async () => {};
    let folder = "";
    const app = await copyWith(async (edit, path) => {
      change = edit;
      folder = join(path, "drizzle");
    });
    await cp(folder, join(folder, "../main"), { recursive: true });
    // The branch adds a column to the same snapshot as the main branch, which is merged first.
    await change("schema.ts", (text) => text.replace("cents:", 'note: text("note"), cents:'));
    await app.script("generate", "--name", "note");
    const branch = await readdir(folder);
    const own = branch.find((name) => name.endsWith("_note.sql")) ?? "";
    const sql = await readFile(join(folder, own), "utf8");
    await rm(folder, { recursive: true });
    await cp(join(folder, "../main"), folder, { recursive: true });
    await change("schema.ts", (text) => text.replace('note: text("note")', 'paid: text("paid")'));
    await app.script("generate", "--name", "paid");
    // What git leaves after the merge: both files, and the journal of the main branch.
    await writeFile(join(folder, own), sql);
    await change("schema.ts", (text) => text.replace("cents:", 'note: text("note"), cents:'));
    expect(await runWorkflow(app)).toMatch(/^gorkflow check .*SQL_NOT_IN_JOURNAL.*_note\.sql/s);
    await rm(join(folder, own));
    await app.script("generate", "--name", "note");
    expect(await runWorkflow(app)).toBeNull();
  });

  const migration = "drizzle/0000_invoices-and-workflows.sql";

  test.each<[string, RegExp, (edit: EditFile, path: string) => Promise<unknown>]>([
    [
      "a column that no migration makes",
      /^gorkflow check .*SCHEMA_AHEAD.*invoices: paid was added/s,
      (edit) => edit("schema.ts", (text) => text.replace("cents:", 'paid: text("paid"), cents:')),
    ],
    [
      "a column that was renamed",
      /^gorkflow check .*SCHEMA_AHEAD.*invoices: cents was removed/s,
      (edit) => edit("schema.ts", (text) => text.replace('integer("cents")', 'integer("amount")')),
    ],
    [
      "workflow tables that are no longer in the schema",
      /^gorkflow check .*SCHEMA_AHEAD.*table step_executions was removed/s,
      (edit) => edit("schema.ts", (text) => text.replace("export *", "export { workflowRuns }")),
    ],
    [
      "a migration that was edited",
      /^gorkflow check .*MIGRATION_EDITED/s,
      (edit) => edit(migration, (text) => text.replace("`cents` integer", "`cents` real")),
    ],
    [
      "a migration that was deleted",
      /^gorkflow check .*SQL_MISSING/s,
      (_, path) => rm(join(path, migration)),
    ],
    [
      "SQL that is not in the journal",
      /^gorkflow check .*SQL_NOT_IN_JOURNAL.*9999_by-hand\.sql/s,
      (_, path) => writeFile(join(path, "drizzle/9999_by-hand.sql"), "delete from invoices;"),
    ],
    [
      "a missing breakpoint",
      /^gorkflow check .*BREAKPOINT_MISSING/s,
      (edit) => edit(migration, (text) => text.replace("--> statement-breakpoint", "")),
    ],
    [
      "migrations that two branches generated from one snapshot",
      /^drizzle-kit check: .*collision/s,
      async (edit, path) => {
        const meta = join(path, "drizzle/meta");
        await cp(join(meta, "0000_snapshot.json"), join(meta, "9999_snapshot.json"));
        await edit("drizzle/meta/9999_snapshot.json", (text) =>
          text.replace(/"id": "[^"]*"/, `"id": "${crypto.randomUUID()}"`),
        );
      },
    ],
    [
      "an index that was taken out before the migration was committed",
      /^gorkflow doctor: .*INDEX_MISSING.*workflow_runs_status_idx/s,
      async (edit, path) => {
        await edit(migration, (text) =>
          text.replace(/CREATE INDEX `workflow_runs_status_idx`[^;]*;/, "SELECT 1;"),
        );
        await rm(join(path, "drizzle/_hashes.json"));
        await recordMigrationHashes(join(path, "drizzle"));
      },
    ],
  ])("find %s", async (_, complaint, plant) => {
    expect(await runWorkflow(await copyWith(plant))).toMatch(complaint);
  });
});

type EditFile = (name: string, change: (text: string) => string) => Promise<void>;
