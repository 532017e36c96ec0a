import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect } from "vitest";
import type { TemporaryFolder } from "../support/temporary.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const root = join(import.meta.dirname, "../..");
const command = setUpCommand();

/** An app with all that loaders of TypeScript stumble over: aliases, `.js` in imports, enums, several files. */
const app: Readonly<Record<string, string>> = {
  "package.json": '{ "name": "app", "private": true }',
  "tsconfig.json":
    '{ "compilerOptions": { "moduleResolution": "bundler", "module": "esnext", "paths": { "@/*": ["./src/*"] } } }',
  "src/kinds.ts": 'export enum Kind { Buyer = "buyer", Seller = "seller" }',
  "src/db/users.ts": `
    import { sqliteTable, text } from "drizzle-orm/sqlite-core";
    import { Kind } from "@/kinds";
    export const users = sqliteTable("users", { id: text().primaryKey(), homeTown: text({ enum: [Kind.Buyer] }) });`,
  "src/db/orders.ts": `
    import { sqliteTable, text } from "drizzle-orm/sqlite-core";
    import { users } from "./users.js";
    export const orders = sqliteTable("orders", { id: text("id").primaryKey(), user: text("user").references(() => users.id) });`,
  "drizzle.config.ts": `
    import { defineConfig } from "drizzle-kit";
    export default defineConfig({ dialect: "sqlite", schema: ["./src/db"], out: "./migrations", casing: "snake_case",
      dbCredentials: { url: process.env["DB_URL"]! } });`,
};

let template: TemporaryFolder;
test.beforeAll(async ({ sharedFolder }) => {
  template = sharedFolder;
  await symlink(join(root, "node_modules"), join(template.path, "node_modules"));
  for (const [name, text] of Object.entries(app)) await write(template.path, name, text);
  await promisify(execFile)(
    process.execPath,
    [join(root, "node_modules/drizzle-kit/bin.cjs"), "generate", "--name", "first"],
    { cwd: template.path },
  );
});
test.beforeEach(() => cp(template.path, command.folder.path, { recursive: true }));

async function write(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

async function edit(name: string, change: (text: string) => string): Promise<void> {
  const text = await readFile(join(command.folder.path, name), "utf8");
  await write(command.folder.path, name, change(text));
}

async function check(...options: string[]): Promise<{ code: number | null; problems: string[] }> {
  const { code, stdout, stderr } = await command.runProcess(["check", "--json", ...options]);
  expect(stderr).toBe("");
  const report = JSON.parse(stdout) as { problems: { code: string }[] };
  return { code, problems: report.problems.map((problem) => problem.code) };
}

test("gorkflow check passes in a project that needs nothing but drizzle-kit, after its hashes are recorded", async () => {
  expect(await check()).toEqual({ code: 1, problems: ["MIGRATION_NOT_RECORDED"] });
  const recorded = await command.runProcess(["check", "--record"]);
  expect(recorded).toEqual({
    code: 0,
    stdout: "recorded 0000_first\n./migrations creates exactly the schema\n",
    stderr: "",
  });
  expect(await check("--config", "drizzle.config.ts")).toEqual({ code: 0, problems: [] });
});

describe("exit code 1 for", () => {
  test.beforeEach(() => command.runProcess(["check", "--record"]));

  test.each<[string, string, () => Promise<void>]>([
    [
      "a schema that is ahead",
      "SCHEMA_AHEAD",
      () => edit("src/db/orders.ts", (text) => text.replace("{ id", '{ total: text("total"), id')),
    ],
    [
      "a renamed column, where drizzle-kit generate would ask on a terminal",
      "SCHEMA_AHEAD",
      () => edit("src/db/users.ts", (text) => text.replace("homeTown", "town")),
    ],
    [
      "a migration that was edited",
      "MIGRATION_EDITED",
      () => edit("migrations/0000_first.sql", (text) => `${text}\n-- edited`),
    ],
    [
      "SQL that is not in the journal",
      "SQL_NOT_IN_JOURNAL",
      () => write(command.folder.path, "migrations/0001_stray.sql", "select 1;"),
    ],
  ])("%s: %s", async (_, problem, plant) => {
    await plant();
    const { code, problems } = await check();
    expect(code).toBe(1);
    expect(problems).toContain(problem);
  });
});

describe("names in one line what cannot be read:", () => {
  test.each<[string, number, RegExp, () => Promise<void>]>([
    [
      "no configuration",
      2,
      /there is no drizzle\.config\.ts in this folder \(name it with --config\)/,
      () =>
        rename(
          join(command.folder.path, "drizzle.config.ts"),
          join(command.folder.path, "other.ts"),
        ),
    ],
    [
      "another dialect",
      1,
      /drizzle\.config\.ts: dialect must be sqlite or turso/,
      () => edit("drizzle.config.ts", (text) => text.replace("sqlite", "postgresql")),
    ],
    [
      "no migrations",
      1,
      /there is no folder \.\/nowhere \(run drizzle-kit generate/,
      () => edit("drizzle.config.ts", (text) => text.replace("migrations", "nowhere")),
    ],
    [
      "no schema",
      1,
      /no file matches the schema \.\/src\/nowhere/,
      () => edit("drizzle.config.ts", (text) => text.replace("src/db", "src/nowhere")),
    ],
    [
      "a schema with a syntax error",
      1,
      /cannot be loaded: .*src\/db\/users\.ts:4/,
      () => edit("src/db/users.ts", (text) => `${text} const = 1;`),
    ],
    [
      "a schema with a bad import",
      1,
      /cannot be loaded: .*@\/nothing.*src\/db\/users\.ts/,
      () => edit("src/db/users.ts", (text) => text.replace("@/kinds", "@/nothing")),
    ],
  ])("%s", async (_, exitCode, says, plant) => {
    await plant();
    const { code, stdout, stderr } = await command.runProcess(["check"]);
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toMatch(says);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("git tells a migration that is not committed yet from one that is:", () => {
  const git = (...args: string[]) =>
    promisify(execFile)("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
      cwd: command.folder.path,
    });
  const edited = (text: string) => `${text}\n-- edited`;

  test("the one is recorded again when it was edited, the other is not", async () => {
    await git("init");
    await command.runProcess(["check", "--record"]);
    await edit("migrations/0000_first.sql", edited);
    expect(await check()).toEqual({ code: 1, problems: ["MIGRATION_EDITED"] });
    expect(await check("--record")).toEqual({ code: 0, problems: [] });
    await git("add", "migrations");
    await git("commit", "-m", "first");
    await edit("migrations/0000_first.sql", edited);
    expect(await check("--record")).toEqual({ code: 1, problems: ["MIGRATION_EDITED"] });
    expect(await check("--record", "0000_first")).toEqual({ code: 0, problems: [] });
  });

  test("a migration that is committed without its hash is not recorded again", async () => {
    await git("init");
    await git("add", "migrations");
    await git("commit", "-m", "first");
    await command.runProcess(["check", "--record"]);
    await edit("migrations/0000_first.sql", edited);
    expect(await check("--record")).toEqual({ code: 1, problems: ["MIGRATION_EDITED"] });
  });

  test("must be named without git", async () => {
    await command.runProcess(["check", "--record"]);
    await edit("migrations/0000_first.sql", edited);
    expect(await check("--record")).toEqual({ code: 1, problems: ["MIGRATION_EDITED"] });
    expect(await check("--record", "0000_first")).toEqual({ code: 0, problems: [] });
  });
});

test("the recipe in the docs works for a migration with custom SQL", async () => {
  await command.runProcess(["check", "--record"]);
  const generated = await promisify(execFile)(
    process.execPath,
    [join(root, "node_modules/drizzle-kit/bin.cjs"), "generate", "--custom", "--name", "own"],
    { cwd: command.folder.path },
  );
  expect(generated.stdout).toContain("0001_own");
  const early = await command.runProcess(["check", "--record"]);
  expect([early.code, early.stdout]).toEqual([
    0,
    expect.stringContaining("not recorded 0001_own: write its SQL, then record it"),
  ]);
  expect((await check()).problems).toEqual(["MIGRATION_NOT_RECORDED", "STATEMENT_EMPTY"]);
  await edit("migrations/0001_own.sql", () => "update users set home_town = 'Dakar';");
  expect((await command.runProcess(["check", "--record"])).stdout).toContain("recorded 0001_own");
  expect(await check()).toEqual({ code: 0, problems: [] });
});

test("a configuration and a schema may print: stdout contains only the answer", async () => {
  await command.runProcess(["check", "--record"]);
  const noise = 'console.log("noise"); process.stdout.write("more\\n");';
  await edit("drizzle.config.ts", (text) => noise + text);
  await edit("src/db/users.ts", (text) => noise + text + "\nsetInterval(() => {}, 1000);");
  const { code, stdout, stderr } = await command.runProcess(["check", "--json"]);
  expect([code, JSON.parse(stdout)]).toEqual([0, { recorded: [], unwritten: [], problems: [] }]);
  expect(stderr).toBe("noise\nmore\nnoise\nmore\n");
});

const asJson = ["--json", "--format json", "--format=json"];

test.each(asJson)("%s: a schema that ends the process is named", async (options) => {
  await edit("src/db/users.ts", (text) => `${text}\nprocess.exit(0);`);
  const { code, stdout, stderr } = await command.runProcess(["check", ...options.split(" ")]);
  expect([code, stdout, JSON.parse(stderr)]).toEqual([
    1,
    "",
    { error: expect.objectContaining({ code: "MODULE_EXITED" }) },
  ]);
});

test.each(asJson)("%s: a failure is JSON", async (options) => {
  const args = ["check", "--config", "none.ts", ...options.split(" ")];
  const { stdout, stderr } = await command.runProcess(args);
  expect([stdout, JSON.parse(stderr)]).toEqual([
    "",
    { error: expect.objectContaining({ code: "CONFIG_MISSING" }) },
  ]);
});

test("a schema with two views of one name is a problem in JSON", async () => {
  await edit(
    "src/db/users.ts",
    (text) => `${text.replace("sqliteTable,", "sqliteTable, sqliteView,")}
      export const a = sqliteView("old").as((query) => query.select().from(users));
      export const b = sqliteView("old").as((query) => query.select().from(users));`,
  );
  expect((await check()).problems).toEqual(["MIGRATION_NOT_RECORDED", "NAME_TAKEN"]);
});

test("annotations for GitHub Actions name the file from the root of the repository", async () => {
  await command.runProcess(["check", "--record"]);
  await edit("migrations/0000_first.sql", (text) => `${text}\n-- edited`);
  const { code, stdout } = await command.runProcess(["check", "--format", "github"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^::error file=migrations\/0000_first\.sql,title=MIGRATION_EDITED::0000_first\.sql was edited after/,
  );
  const env = { GITHUB_WORKSPACE: join(command.folder.path, "..") };
  const inside = await command.runProcess(["check", "--format", "github"], { env });
  expect(inside.stdout).toMatch(/^::error file=[^/,]+\/migrations\/0000_first\.sql,/);
});

test.each(["src/(db)", "src/(db)/*.ts", "./src/(db)/**", "src/@((db)|none)/*.ts"])(
  "a schema at %s is found, as drizzle-kit does",
  async (pattern) => {
    const folder = command.folder.path;
    await rename(join(folder, "src/db"), join(folder, "src/(db)"));
    await edit("drizzle.config.ts", (text) => text.replace("./src/db", pattern));
    await command.runProcess(["check", "--record"]);
    expect(await check()).toEqual({ code: 0, problems: [] });
  },
);
