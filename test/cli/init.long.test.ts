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
    '{\t"dialect": "sqlite", "schema": "./schema.ts", "out": "./drizzle" }',
  );
  const args = ["--migrations", "gorkflow", "--config", "drizzle.config.json"];
  await init(...args);
  expect(await read("schema.ts")).toBe(users);
  expect(await read("drizzle.config.json")).toBe(
    '{\n  "tablesFilter": ["!workflow_*", "!step_*", "!__gorkflow_*"],\t"dialect": "sqlite", "schema": "./schema.ts", "out": "./drizzle" }',
  );
  expect(await init(...args)).toMatch(/^nothing to change\n/);
});

test("a file that has the name of the new one, line ends and a byte order mark are kept", async () => {
  const windows = (text: string) => `\uFEFF${text.replaceAll("\n", "\r\n")}`;
  await write("src/db/users.ts", users);
  await write("src/db/workflow-tables.ts", windows(users.replace('"users"', '"tables"')));
  await write("drizzle.config.ts", windows(config("./src/db")));
  await init("--prefix", "app_");
  expect(await read("src/db/users.ts")).toBe(users);
  const expected = `import { createWorkflowTables } from "gorkflow/schema";
${users.replace('"users"', '"tables"')}
export const {
  workflowRuns,
  stepExecutions,
  stepAttempts,
  stepOutputs,
  workflowState,
  workflowPauses,
} = createWorkflowTables({ prefix: "app_" });
`;
  expect(await read("src/db/workflow-tables.ts")).toBe(windows(expected));
  expect((await read("drizzle.config.ts")).replaceAll("\r\n", "")).not.toContain("\n");
  expect(await init("--prefix", "app_")).toMatch(/^nothing to change\n/);
});

test("only tables that the schema exports count, from whatever file", async () => {
  await write("drizzle.config.ts", config("./schema.ts"));
  await write("schema.ts", `import { workflowRuns } from "gorkflow/schema";\nvoid workflowRuns;\n`);
  expect(await init("--dry-run")).toContain("would: schema.ts: export the workflow tables");
  await write("tables.ts", `export * from "gorkflow/schema";\n`);
  await write("schema.ts", `export * from "./tables.ts";\n`);
  expect(await init("--dry-run")).not.toContain("schema.ts: export");
  expect(await init("--dry-run", "--prefix", "app_")).toContain("would: schema.ts: export");
});

test("a configuration in a comment is not changed", async () => {
  await write("schema.ts", users);
  const current = config("./schema.ts").replace("});", "} satisfies Config);");
  const text = `// export default { dialect: "sqlite" };\n/*\nexport default {\n};\n*/\n${current}`;
  await write("drizzle.config.ts", text);
  await init("--migrations", "gorkflow");
  expect(await read("drizzle.config.ts")).toBe(
    text.replace(
      "defineConfig({",
      'defineConfig({\n  tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],',
    ),
  );
});

test("a filter that chooses tables is not given a pattern that would show all others", async () => {
  const filtered = (filter: string) =>
    write(
      "drizzle.config.ts",
      config("./schema.ts").replace("dialect", `tablesFilter: ${filter},\n  dialect`),
    );
  await write("schema.ts", users);
  await filtered('["shop_*"]');
  expect(await init("--migrations", "gorkflow")).toMatch(/^nothing to change\n/);
  const args = ["init", "--migrations", "gorkflow", "--prefix", "shop_"];
  const { code, stdout } = await command.runProcess(args);
  expect({ code, stdout }).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('as in "shop_!(workflow_*|step_*)"'),
  });
  await filtered('["shop_!(workflow_*|step_*)"]');
  expect(await init(...args.slice(1))).toMatch(/^nothing to change\n/);
  await filtered('["*", "!other"]');
  await init(...args.slice(1));
  expect(await read("drizzle.config.ts")).toContain(
    'tablesFilter: ["!shop_workflow_*", "!shop_step_*", "!__gorkflow_*", "*", "!other"]',
  );
});

test("projects in JavaScript and configurations of other forms are changed too", async () => {
  const drizzleKit = 'import { defineConfig } from "drizzle-kit";\n';
  const forms: Record<string, string> = {
    "a.config.js": `${drizzleKit}export default defineConfig({`,
    "b.config.mjs": "export default {",
    "c.config.cjs": "module.exports = {",
    "d.config.js": `const options = { a: 1 };\n${drizzleKit}const config = {`,
  };
  const filter = 'tablesFilter: ["!workflow_*", "!step_*", "!__gorkflow_*"],';
  for (const [name, begin] of Object.entries(forms)) {
    const end = begin.endsWith("({") ? "});" : "};";
    const more = begin.includes("const config") ? "\nexport default config;" : "";
    const rest = `\n  dialect: "sqlite",\n  schema: "./schema.js",\n${end}${more}\n`;
    await write("schema.js", users);
    await write(name, begin + rest);
    await init("--config", name);
    expect(await read("schema.js")).toBe(`${users}\nexport * from "gorkflow/schema";\n`);
    expect(await read(name)).toBe(`${begin}\n  ${filter}${rest}`);
    expect(await init("--config", name)).toMatch(/^nothing to change\n/);
  }
});

test("tables of the app with similar names stay visible to push", async () => {
  const similar =
    'export const templates = sqliteTable("workflow_templates", { id: text("id") });\n';
  await write("schema.ts", users + similar);
  await write("drizzle.config.ts", config("./schema.ts"));
  await init("--migrations", "gorkflow");
  const kit = join(root, "node_modules/drizzle-kit/bin.cjs");
  // The second one would create the table again if the filter hid it.
  for (const found of ["Changes applied", "No changes detected"]) {
    const { code, stdout, stderr } = await runProgram(process.execPath, [kit, "push"], {
      cwd: command.folder.path,
    });
    expect({ code, stdout, stderr }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(found),
    });
  }
  expect(await init("--migrations", "gorkflow")).toMatch(/^nothing to change\n/);
  const broad = (await read("drizzle.config.ts")).replace("!workflow_!(templates)", "!workflow_*");
  await write("drizzle.config.ts", broad);
  expect(await command.runProcess(["init", "--migrations", "gorkflow"])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(
      'left to you: drizzle.config.ts: replace "!workflow_*" in tablesFilter',
    ),
  });
  expect(await read("drizzle.config.ts")).toBe(broad);
});

test("a schema whose names are taken is left to the user", async () => {
  const taken = users.replace("const users", "const workflowRuns");
  await write("schema.ts", taken);
  await write("drizzle.config.ts", config("./schema.ts"));
  for (const options of [[], ["--prefix", "app_"]]) {
    const { code, stdout } = await command.runProcess(["init", ...options]);
    expect({ code, stdout }).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("left to you: schema.ts"),
    });
    expect(await read("schema.ts")).toBe(taken);
  }
});

test("a table that a schema lacks is named if it exports the others", async () => {
  const named = "export { workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState }";
  await write("schema.ts", `${users}${named} from "gorkflow/schema";\n`);
  await write("drizzle.config.ts", config("./schema.ts"));
  expect(await command.runProcess(["init"])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(
      "left to you: schema.ts: export workflowPauses of gorkflow/schema",
    ),
  });
});

test("what it cannot change safely is left to the user", async () => {
  await write("schema.cjs", "exports.users = {};\n");
  await write(
    "drizzle.config.js",
    'const config = { dialect: "sqlite", schema: "./schema.cjs", tablesFilter: "!other" };\nexport default config;\n',
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

test("a file that cannot be written stays whole and is named, and a second call makes the rest", async () => {
  await write("schema.ts", users);
  await write("drizzle.config.ts", config("./schema.ts"));
  await symlink("/dev/full", join(command.folder.path, "drizzle.config.ts.partial"));
  expect(await command.runProcess(["init"])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/drizzle\.config\.ts cannot be written \(ENOSPC\) \(run/),
  });
  expect(await read("schema.ts")).toContain("gorkflow/schema");
  expect(await read("drizzle.config.ts")).toBe(config("./schema.ts"));
  expect(await init()).toContain("did: drizzle.config.ts");
  expect(await read("drizzle.config.ts")).toContain("tablesFilter");
});
