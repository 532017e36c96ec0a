import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "libsql";
import { expect, test } from "vitest";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { migrationScript } from "../../src/migrations/migration-script.ts";
import { runProgram } from "../support/command-line.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

/** The commands that only look at a database, and how they are called on the file `app.db`. */
const looking: Readonly<Record<string, readonly string[][]>> = {
  "runs list": [
    ["runs", "list"],
    ["runs", "list", "--all", "--ndjson"],
  ],
  "runs show": [
    ["runs", "show", "r1"],
    ["runs", "show", "absent"],
  ],
  "runs watch": [["runs", "watch", "r1"]],
  report: [
    ["report", "throughput"],
    ["report", "storage"],
    ["report", "stuck"],
  ],
  stats: [["stats"]],
  doctor: [["doctor"], ["doctor", "--prefix", "app_"]],
  migrate: [
    ["migrate", "--status"],
    ["migrate", "--sql"],
  ],
  prune: [["prune", "--older-than", "1d", "--dry-run"]],
  export: [
    ["export", "out.ndjson"],
    ["export", "-"],
  ],
  compare: [
    ["compare", "app.db", "other.db"],
    ["compare", "other.db", "app.db"],
  ],
  copy: [["copy", "app.db", "target.db"]],
};
/** The others change a database, make one, or use none. */
const notLooking = new Set([
  "runs cancel",
  "runs retry",
  "import",
  "check",
  "demo",
  "complete",
  "help",
]);

test("every command is known to look or not to", async () => {
  const namesIn = async (args: readonly string[]) =>
    [...(await command.run([...args, "--help"])).stdout.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? /gm)]
      .map(([, name = ""]) => name)
      .filter((name) => name !== "gorkflow" && name !== "node");
  const names = await namesIn([]);
  const ofRuns = (await namesIn(["runs"])).filter((name) => name !== "help");
  expect(ofRuns.length).toBeGreaterThan(3);
  const all = names.filter((name) => name !== "runs").concat(ofRuns.map((name) => `runs ${name}`));
  expect(all.filter((name) => !(name in looking) && !notLooking.has(name))).toEqual([]);
});

const path = (name: string) => join(command.folder.path, name);

const rows = `
  insert into workflow_runs (run_id, workflow_id, status, created_at, started_at, completed_at, updated_at)
    values ('r1', 'w', 'COMPLETED', 1, 2, 3, 3), ('r2', 'w', 'PENDING', 1, null, null, 1);
  create table orders (id integer primary key, run_id text references workflow_runs);
  insert into orders values (1, 'r1');`;

/** An app's file, and how it was left. */
const files: Readonly<Record<string, (file: string) => Promise<void> | void>> = {
  "in DELETE mode, with auto_vacuum FULL": (file) =>
    script(file, `pragma auto_vacuum = full; ${migrationScript()} ${rows}`),
  "in WAL mode": (file) => {
    script(file, `pragma journal_mode = wal; ${migrationScript()} ${rows}`);
    script(file, "pragma wal_checkpoint(truncate)");
  },
  "whose last writer was killed, with all in its -wal": async (file) => {
    const program = path("killed.cjs");
    const sql = `pragma journal_mode = wal; pragma wal_autocheckpoint = 0; ${migrationScript()} ${rows}`;
    await writeFile(
      program,
      `const Database = require(${JSON.stringify(require.resolve("libsql"))});
       new Database(${JSON.stringify(file)}).exec(${JSON.stringify(sql)});
       process.kill(process.pid, "SIGKILL");`,
    );
    await runProgram(process.execPath, [program], { cwd: command.folder.path });
    expect(existsSync(`${file}-wal`)).toBe(true);
  },
  "without our tables": (file) => script(file, "create table orders (id integer primary key)"),
  "of an older version": (file) => script(file, migrationScript(compiledMigrations.slice(0, 1))),
};

function script(file: string, sql: string): void {
  const database = new Database(file);
  database.exec(sql);
  database.close();
}

/** Its bytes, and those of its log. The index of the log is what readers keep for each other. */
function contentOf(file: string): Record<string, string> {
  const folder = join(file, "..");
  return Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.startsWith("app.db") && !name.endsWith("-shm"))
      .map((name) => [name, readFileSync(join(folder, name))] as const)
      // A reader makes an empty log where there is none.
      .filter(([name, bytes]) => bytes.length > 0 || name === "app.db")
      .map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]),
  );
}

function pragmasOf(file: string): unknown[] {
  const database = new Database(`file:${file}?mode=ro`);
  const names = [
    "journal_mode",
    "auto_vacuum",
    "page_size",
    "encoding",
    "user_version",
    "application_id",
  ];
  const values = names.map((name): unknown => database.prepare(`pragma ${name}`).raw().all());
  database.close();
  return values;
}

const all = Object.keys(looking);
const some = ["runs list", "doctor", "migrate"];

test.each([
  { file: "in DELETE mode, with auto_vacuum FULL", names: all },
  { file: "whose last writer was killed, with all in its -wal", names: all },
  { file: "in WAL mode", names: some },
  { file: "without our tables", names: some },
  { file: "of an older version", names: some },
])(
  "what only looks changes nothing in a file $file",
  async ({ file: kind, names }) => {
    const template = path("template");
    await mkdir(template);
    await files[kind]?.(join(template, "app.db"));
    await command.run(["migrate", "-d", "other.db"]);
    for (const args of names.flatMap((name) => looking[name] ?? [])) {
      for (const file of readdirSync(template)) await copyFile(join(template, file), path(file));
      const before = [contentOf(path("app.db")), pragmasOf(path("app.db"))];
      const { code, stderr } = await command.run(args, {
        env: { GORKFLOW_DATABASE_URL: "file:./app.db" },
      });
      expect({ args, found: [contentOf(path("app.db")), pragmasOf(path("app.db"))] }).toEqual({
        args,
        found: before,
      });
      // It has found its answer, or says that there is none.
      expect(stderr).not.toMatch(/read-only|cannot be|UNEXPECTED/);
      expect({ args, code }).toEqual({
        args,
        code: expect.toSatisfy((it) => it === 0 || it === 1),
      });
    }
  },
  120_000,
);

test("what changes a file of an app leaves its auto_vacuum, too", async () => {
  await files["in DELETE mode, with auto_vacuum FULL"]?.(path("app.db"));
  expect((await command.run(["runs", "cancel", "r2", "-d", "app.db"])).code).toBe(0);
  const database = new Database(path("app.db"));
  expect(database.prepare("pragma auto_vacuum").raw().all()).toEqual([[1]]);
  database.close();
});
