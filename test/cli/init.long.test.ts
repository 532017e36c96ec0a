import { readFile, symlink, writeFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, expect } from "vitest";
import { test } from "../support/fixtures.ts";
import { builtPackage } from "../support/built-package.ts";
import { runProgram } from "../support/command-line.ts";
import { setUpCommand } from "./support.ts";

const root = join(import.meta.dirname, "../..");
const command = setUpCommand();

const users = `import { sqliteTable, text } from "drizzle-orm/sqlite-core";

export const users = sqliteTable("users", { id: text("id").primaryKey() });
`;
const config = (schema: string) => `import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: ${JSON.stringify(schema)},
  dbCredentials: { url: "file:./app.db" },
});
`;

beforeEach(async () => {
  await write("package.json", '{ "name": "app", "type": "module" }');
  const packages = join(command.folder.path, "node_modules");
  await mkdir(packages);
  for (const name of ["drizzle-orm", "drizzle-kit", "@libsql"]) {
    await symlink(join(root, "node_modules", name), join(packages, name));
  }
  await symlink(await builtPackage(), join(packages, "gorkflow"));
});

async function write(name: string, text: string): Promise<void> {
  const path = join(command.folder.path, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

const read = (name: string) => readFile(join(command.folder.path, name), "utf8");

async function init(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await command.runProcess(["init", ...args]);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
  return stdout;
}

test("the tables are exported by the only file of the schema, and hidden from push", async () => {
  await write("schema.ts", users);
  await write("drizzle.config.ts", config("./schema.ts"));
  const planned = await init("--dry-run");
  expect(planned).toContain("would: schema.ts: export the workflow tables");
  expect([await read("schema.ts"), await read("drizzle.config.ts")]).toEqual([
    users,
    config("./schema.ts"),
  ]);
  await init();
  expect(await read("schema.ts")).toBe(`${users}\nexport * from "gorkflow/schema";\n`);
  expect(await read("drizzle.config.ts")).toContain(
    'defineConfig({\n  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],\n  dialect',
  );
  expect(await init()).toMatch(/^nothing to change\n/);
  expect(await read("schema.ts")).toBe(`${users}\nexport * from "gorkflow/schema";\n`);
});

test("in a folder of schema files, the tables get a file of their own, and drizzle-kit creates them", async () => {
  await write("src/db/users.ts", users);
  await write("drizzle.config.ts", config("./src/db"));
  await init("--prefix", "app_");
  expect(await read("src/db/users.ts")).toBe(users);
  const kit = join(root, "node_modules/drizzle-kit/bin.cjs");
  const cwd = command.folder.path;
  for (const args of [["generate", "--name", "first"], ["migrate"]]) {
    const { code, stderr } = await runProgram(process.execPath, [kit, ...args], { cwd });
    expect({ code, stderr }).toMatchObject({ code: 0 });
  }
  const doctor = await command.runProcess(["doctor", "--prefix", "app_", "-d", "app.db"]);
  expect(doctor).toMatchObject({ code: 0, stdout: expect.not.stringContaining("error") });
  expect(await init("--prefix", "app_")).toMatch(/^nothing to change\n/);
});

test("with our own migrations, only the filter is added, also to JSON", async () => {
  await write("schema.ts", users);
  await write(
    "drizzle.config.json",
    '{ "dialect": "sqlite", "schema": "./schema.ts", "out": "./drizzle" }',
  );
  const args = ["--migrations", "gorkflow", "--config", "drizzle.config.json"];
  await init(...args);
  expect(await read("schema.ts")).toBe(users);
  expect(JSON.parse(await read("drizzle.config.json"))).toMatchObject({
    schema: "./schema.ts",
    tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],
  });
  expect(await init(...args)).toMatch(/^nothing to change\n/);
});

test("what it cannot change safely is left to the user", async () => {
  await write("schema.cjs", "exports.users = {};\n");
  await write(
    "drizzle.config.js",
    'const config = { dialect: "sqlite", schema: "./schema.cjs", tablesFilter: ["!other"] };\nexport default config;\n',
  );
  const { code, stdout } = await command.runProcess(["init", "--json"]);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    changes: [
      { file: "schema.cjs", isLeftToYou: true },
      { file: "drizzle.config.js", isLeftToYou: true },
    ],
  });
  expect(await read("schema.cjs")).toBe("exports.users = {};\n");
  expect(await command.runProcess(["init", "--config", "none.ts"])).toMatchObject({ code: 2 });
});
