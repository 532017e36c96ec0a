import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "libsql";
import { expect } from "vitest";
import { compiledMigrations } from "../../src/migrations/compiled.ts";
import { migrationScript } from "../../src/migrations/migration-script.ts";
import { bundle, startProgram } from "../support/child-processes.ts";
import { runProgram } from "../support/command-line.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();
let severalCommands: string;
test.beforeAll(async () => {
  // Beside the command, which finds its package from there.
  severalCommands = join(command.program, "../commands.mjs");
  await bundle(`${import.meta.dirname}/programs/commands.ts`, severalCommands);
});

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
  "runs why": [
    ["runs", "why", "r1"],
    ["runs", "why", "absent"],
  ],
  "runs watch": [["runs", "watch", "r1"]],
  report: [
    ["report", "throughput"],
    ["report", "storage"],
    ["report", "stuck"],
  ],
  workers: [["workers"]],
  workflows: [["workflows"], ["workflows", "list"]],
  stats: [["stats"]],
  doctor: [["doctor"], ["doctor", "--prefix", "app_"]],
  migrate: [
    ["migrate", "--status"],
    ["migrate", "--sql"],
  ],
  prune: [["prune", "--older-than", "1d", "--dry-run"]],
  "runs delete": [["runs", "delete", "--workflow", "w", "--dry-run"]],
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
  "studio",
  "import",
  "init",
  "check",
  "demo",
  "complete",
  "help",
]);

test("every command is listed as looking or changing", async () => {
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

/** What files of the plainer kinds are looked at by. */
const some = ["runs list", "doctor", "migrate"];

const stateOf = (file: string) => [contentOf(file), pragmasOf(file)];

test("a command that looks changes nothing in a file, in any state of the file", async () => {
  const runs: { kind: string; args: string[]; folder: string; before: unknown }[] = [];
  for (const [kind, make] of Object.entries(files)) {
    const template = path(`template of ${runs.length}`);
    await mkdir(template);
    await make(join(template, "app.db"));
    script(join(template, "other.db"), migrationScript());
    const names = /auto_vacuum|killed/.test(kind) ? Object.keys(looking) : some;
    for (const args of names.flatMap((name) => looking[name] ?? [])) {
      const folder = path(`copy ${runs.length}`);
      await cp(template, folder, { recursive: true });
      runs.push({ kind, args, folder, before: stateOf(join(folder, "app.db")) });
    }
  }
  // All in one process: that it starts takes longer than what it does.
  const list = JSON.stringify(runs.map(({ folder, args }) => [folder, args]));
  const env = { ...process.env, GORKFLOW_DATABASE_URL: "file:./app.db" };
  const started = startProgram<{ code: number }>(severalCommands, [list], { env, silent: true });
  let said = "";
  started.process.stdout?.resume();
  started.process.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  const { code: exitCode } = await started.ended;
  expect({ exitCode, said }).toEqual({ exitCode: 0, said: expect.any(String) });
  // Each has found its answer, or says that there is none.
  expect(said).not.toMatch(/read-only|cannot be|UNEXPECTED/);
  for (const [index, { kind, args, folder, before }] of runs.entries()) {
    const code = started.messages[index]?.code;
    expect({ kind, args, code, after: stateOf(join(folder, "app.db")) }).toEqual({
      kind,
      args,
      code: expect.toSatisfy((it) => it === 0 || it === 1),
      after: before,
    });
  }
});

test("a command that looks changes nothing as a separate process either", async () => {
  await files["whose last writer was killed, with all in its -wal"]?.(path("app.db"));
  const before = stateOf(path("app.db"));
  for (const args of [["runs", "list"], ["export", "-"], ["stats"]]) {
    expect(await command.run([...args, "-d", "app.db"])).toMatchObject({ code: 0 });
    expect(stateOf(path("app.db"))).toEqual(before);
  }
});

test("a command that changes an app's file keeps its auto_vacuum", async () => {
  await files["in DELETE mode, with auto_vacuum FULL"]?.(path("app.db"));
  expect((await command.run(["runs", "cancel", "r2", "-d", "app.db"])).code).toBe(0);
  const database = new Database(path("app.db"));
  expect(database.prepare("pragma auto_vacuum").raw().all()).toEqual([[1]]);
  database.close();
});
