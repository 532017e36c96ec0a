import { copyFileSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClient } from "gorkflow/client";
import { doctor, migrate, migrationStatus } from "gorkflow/migrations";
import { describe, expect } from "vitest";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();
const tags = compiledMigrations.map(({ tag }) => tag);

describe.each(["a file", "a server"])("on %s, gorkflow migrate", (place) => {
  test("creates the tables, lists the applied migrations, and then has nothing to do", async () => {
    const database = place === "a file" ? command.folder.database() : server.httpUrl;
    const first = await command.run(["migrate", "--database", database]);
    expect(first).toEqual({
      code: 0,
      stdout: tags.map((tag) => `applied ${tag}\n`).join(""),
      stderr: "",
    });
    const second = await command.run(["migrate", "--json"], {
      env: { GORKFLOW_DATABASE_URL: database },
    });
    expect([second.code, JSON.parse(second.stdout)]).toEqual([0, { applied: [] }]);
    const status = await command.run(["migrate", "--status", "--json", "-d", database]);
    expect([status.code, JSON.parse(status.stdout)]).toEqual([
      0,
      { state: "current", applied: tags, pending: [], unknown: [] },
    ]);
    const healthy = await command.run(["doctor", "-d", database]);
    expect(healthy).toEqual({
      code: 0,
      stdout: "the database matches the schema\n",
      stderr: "",
    });
  });
});

test("the script of --sql makes a database that gorkflow migrate and doctor accept", async () => {
  const { stdout } = await command.run(["migrate", "--sql"]);
  // A statement that fails on an index that somebody dropped by hand is in none of them.
  expect(stdout).not.toMatch(/^DROP INDEX (?!IF EXISTS)/m);
  const client = createClient(command.folder.database());
  await client.executeMultiple(stdout);
  expect(await migrationStatus(client)).toMatchObject({ state: "current", unknown: [] });
  expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
  // The journal's row is the first of each transaction: applied twice, it fails before it harms.
  await expect(client.executeMultiple(stdout)).rejects.toThrow(/UNIQUE constraint failed/);
  client.close();
});

test("a copy without its -wal is reported as such", async () => {
  const client = createClient(command.folder.database());
  await migrate(client);
  const copy = join(command.folder.path, "copy.db");
  copyFileSync(fileURLToPath(command.folder.database()), copy);
  for (const args of [["doctor"], ["stats"], ["migrate", "--status"], ["runs", "cancel", "r"]]) {
    const { code, stderr } = await command.runProcess([...args, "-d", "copy.db"]);
    expect([args, code, stderr]).toEqual([
      args,
      1,
      `gorkflow: ${copy} has no tables, and no ${copy}-wal with newer commits is beside it (if it is a copy, ` +
        "copy it again with its -wal, or by VACUUM INTO; if nothing has made the tables yet, run gorkflow migrate)\n",
    ]);
  }
  copyFileSync(`${fileURLToPath(command.folder.database())}-wal`, `${copy}-wal`);
  expect(await command.runProcess(["doctor", "-d", "copy.db"])).toMatchObject({ code: 0 });
  client.close();
});

test("--status of a database without tables exits with 1 and names the command to run", async () => {
  writeFileSync(join(command.folder.path, "empty.db"), "");
  const { code, stdout } = await command.run(["migrate", "--status", "-d", "empty.db"]);
  expect(code).toBe(1);
  expect(stdout).toContain("run gorkflow migrate\n");
  expect(stdout).toContain(`pending  ${tags[0]}`);
});

test("doctor finds dropped objects, names the remedy, and exits with 1", async () => {
  const database = command.folder.database();
  await command.run(["migrate", "-d", database]);
  const client = createClient(database);
  await client.execute("drop index workflow_runs_status_idx");
  await client.execute("create index extra_idx on workflow_runs (progress)");
  client.close();
  const text = await command.run(["doctor", "-d", database]);
  expect(text.code).toBe(1);
  expect(text.stdout).toMatch(
    /error INDEX_MISSING index workflow_runs_status_idx .*\n {2}run: create index /,
  );
  expect(text.stdout).toMatch(/warning INDEX_EXTRA .*extra_idx/);
  expect(text.stdout).toContain("1 error(s), 1 warning(s)");
  const json = await command.run(["doctor", "-d", database, "--json"]);
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    healthy: false,
    findings: [{ code: "INDEX_MISSING" }, { code: "INDEX_EXTRA" }],
  });
});

test("doctor checks tables with a prefix", async () => {
  const database = command.folder.database();
  await command.run(["migrate", "-d", database]);
  const { code, stdout } = await command.run(["doctor", "-d", database, "--prefix", "app_"]);
  expect(code).toBe(1);
  expect(stdout).toContain("table app_workflow_runs is missing");
});

describe("invalid input is reported in one line with a remedy, without a stack trace", () => {
  test.each([
    ["no database", ["doctor"], 2, /^gorkflow: no database was given \(give --database/],
    [
      "a missing file",
      ["doctor", "-d", "absent.db"],
      1,
      /there is no database file \S*\/absent\.db \(/,
    ],
    [
      "a missing file",
      ["migrate", "--status", "-d", "file:absent.db"],
      1,
      /no database file \S*\/absent\.db/,
    ],
    ["a name that is too long", ["stats", "-d", "x".repeat(300)], 1, /opened \(ENAMETOOLONG\)/],
    ["a missing folder", ["migrate", "-d", "no/where.db"], 1, /there is no folder .*no for/],
    ["memory", ["migrate", "-d", "memory:"], 2, /a database in memory disappears/],
    [
      "another scheme",
      ["doctor", "-d", "postgres://db?authToken=SECRET"],
      2,
      /^gorkflow: --database is not one that gorkflow opens: its URL begins with postgres: \(/,
    ],
    ["a folder", ["doctor", "-d", "."], 1, /is a folder, not a database file/],
    ["what is no database", ["doctor", "-d", "text.db"], 1, /the file is not a database/],
    [
      "a server that is not there",
      ["doctor", "-d", "http://127.0.0.1:9"],
      1,
      /connection to the server/,
    ],
    ["an unknown command", ["migrat"], 2, /unknown command 'migrat'/],
    ["an unknown option", ["migrate", "--statu"], 2, /unknown option '--statu'/],
    ["too much", ["migrate", "now"], 2, /too many arguments/],
    ["options that exclude each other", ["migrate", "--sql", "--status"], 2, /cannot be used with/],
  ])("%s: gorkflow %j", async (_, args, code, says) => {
    writeFileSync(join(command.folder.path, "text.db"), "no database\n".repeat(1000));
    const result = await command.run(args);
    expect(result.code).toBe(code);
    expect(result.stdout).toBe("");
    expect(result.stderr).toMatch(says);
    expect(result.stderr).not.toMatch(/SECRET|\n\s+at /);
    expect(existsSync(join(command.folder.path, "absent.db"))).toBe(false);
  });

  test("with --json the line is a document", async () => {
    const { code, stderr } = await command.run(["doctor", "--json", "-d", "absent.db"]);
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: "DATABASE_MISSING",
        message: `there is no database file ${join(command.folder.path, "absent.db")}`,
        remedy: "check the path, or run gorkflow migrate to create it",
      },
    });
  });

  test("an invalid variable is named, without its value", async () => {
    const env = { GORKFLOW_DURABILITY: "SECRET", GORKFLOW_DATABASE_URL: command.folder.database() };
    const { code, stderr } = await command.run(["migrate"], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/GORKFLOW_DURABILITY/);
    expect(stderr).not.toContain("SECRET");
  });
});

test("a file .env names the database, and the environment takes precedence", async () => {
  writeFileSync(join(command.folder.path, ".env"), "GORKFLOW_DATABASE_URL=from-dotenv.db\n");
  await command.run(["migrate"]);
  expect(existsSync(join(command.folder.path, "from-dotenv.db"))).toBe(true);
  await command.run(["migrate"], { env: { GORKFLOW_DATABASE_URL: "from-env.db" } });
  expect(existsSync(join(command.folder.path, "from-env.db"))).toBe(true);
});
