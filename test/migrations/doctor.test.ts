import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient as createRemoteClient, type Client } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { doctorCommand } from "../../src/cli/commands/doctor.ts";
import { createClient } from "../../src/client/create-client.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { doctor } from "../../src/migrations/doctor/doctor.ts";
import { migrationsTable } from "../../src/migrations/journal.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { schema } from "../../src/schema/schema.ts";
import { createWorkflowTables, type WorkflowTables } from "../../src/schema/tables.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { compileCommandLine, runCommand } from "../support/command-line.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { drifts } from "./support/drift.ts";
import { generateSQLiteDrizzleJson, generateSQLiteMigration } from "./support/drizzle-kit.ts";

let folder: TemporaryFolder;
let command: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  command = await compileCommandLine();
});
afterAll(() => folder.remove());

const opened: Client[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

function open(url: string): Client {
  const client = url.startsWith("http") ? createRemoteClient({ url }) : createClient(url);
  opened.push(client);
  return client;
}

const storeOf = (client: Client, tables?: WorkflowTables) =>
  new LibSQLStore(drizzle({ client }), { tables });

/** A row or two in every table. */
async function fill(store: WorkflowStore): Promise<void> {
  for (const runId of ["a", "b"]) {
    await store.createRun({ runId, workflowId: "w", resourceId: runId, tags: { of: runId } });
    await store.createStepExecution({ runId, stepId: "s", status: "RUNNING" });
    await store.updateStepExecution(runId, "s", { status: "COMPLETED" });
    await store.saveStepOutput(runId, "s", [runId]);
    await store.saveState(runId, "k", { n: 1 });
    await store.saveStepAttempt({ runId, stepId: "s", attempt: 1, status: "FAILED" });
  }
}

/** A database as `prepare` makes it, of which every test has a copy. */
function copiesOf(name: string, prepare: (client: Client) => Promise<void>) {
  let template: Promise<string> | null = null;
  let copies = 0;
  async function make(): Promise<string> {
    const path = join(folder.path, `${name}.db`);
    const client = createClient(`file:${path}`);
    await prepare(client);
    client.close();
    return path;
  }
  return async (): Promise<string> => {
    const path = join(folder.path, `${name}-${copies++}.db`);
    await copyFile(await (template ??= make()), path);
    return `file:${path}`;
  };
}

interface JsonReport {
  readonly healthy: boolean;
  readonly findings: readonly Record<"code" | "severity" | "message" | "remedy", string>[];
}

/** What `gorkflow doctor --json` says, and its exit code. */
async function diagnose(run: typeof inProcess, database: string, ...options: string[]) {
  const { code, stdout } = await run(["--json", "--database", database, ...options]);
  return { code, report: JSON.parse(stdout) as JsonReport };
}

/** The command as a program is half a second each time: some cases are enough. */
async function asProgram(args: readonly string[]) {
  const result = await runCommand(command, ["doctor", ...args], { cwd: folder.path });
  expect(result.stderr).toBe("");
  return result;
}

async function inProcess(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string }> {
  let code = 0;
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    await doctorCommand({
      signal: new AbortController().signal,
      reading: new AbortController().signal,
      env: {},
      foundSomething: () => (code = 1),
      onInterruption: () => {},
      endAtOnce: () => {},
    }).parseAsync([...args], { from: "user" });
    return { code, stdout: write.mock.calls.map(([text]) => String(text)).join("") };
  } finally {
    write.mockRestore();
  }
}

const prefix = "app_";
const prefixed: WorkflowTables = createWorkflowTables({ prefix });

const kinds = [
  {
    kind: "tables that our migrations made",
    tables: schema,
    prefix: "",
    cases: drifts,
    copy: copiesOf("plain", async (client) => {
      await migrate(client);
      await fill(storeOf(client));
    }),
  },
  {
    kind: "tables with a prefix, which the app's drizzle-kit made",
    tables: prefixed,
    prefix,
    // One of each kind: what is done to a table does not depend on its name.
    // Some replace text of a definition that drizzle-kit 1.0 words differently.
    cases: drifts.filter(
      ({ name }) =>
        /was dropped$|named as|left over|renamed$|all at once|in other words/.test(name) &&
        !(isDrizzle1 && /^(a foreign key that was dropped|all at once)/.test(name)),
    ),
    copy: copiesOf("prefixed", async (client) => {
      const empty = await generateSQLiteDrizzleJson({});
      const statements = await generateSQLiteMigration(
        empty,
        await generateSQLiteDrizzleJson({ ...prefixed }),
      );
      // drizzle-kit 1.0 leaves NOT NULL out, of which the test of layouts has the warning.
      const made = statements.join("\n").replaceAll(/(text PRIMARY KEY),/g, "$1 NOT NULL,");
      await client.executeMultiple(made);
      await fill(storeOf(client, prefixed));
    }),
  },
];

describe.each(kinds)("in $kind", ({ tables, prefix: begin, cases, copy }) => {
  const options = begin === "" ? [] : ["--prefix", begin];

  test("gorkflow doctor finds nothing", async () => {
    expect(await diagnose(asProgram, await copy(), ...options)).toEqual({
      code: 0,
      report: { healthy: true, findings: [] },
    });
  });

  test.each(cases)(
    "gorkflow doctor tells of $name, and the statements that it prints work",
    async (drift) => {
      const url = await copy();
      const client = open(url);
      await drift.plant(client, begin);

      const run = /table that was dropped|trigger$/.test(drift.name) ? asProgram : inProcess;
      const { code, report } = await diagnose(run, url, ...options);
      const described = report.findings.map(({ code: of, severity }) => `${severity} ${of}`);
      expect(described).toEqual(drift.findings.map(([of, severity]) => `${severity} ${of}`));
      const healthy = drift.findings.every(([, severity]) => severity === "warning");
      expect([report.healthy, code]).toEqual([healthy, healthy ? 0 : 1]);
      for (const [index, [, , message, remedy]] of drift.findings.entries()) {
        expect(report.findings[index]?.message).toMatch(message);
        // Whose migrations make the tables is said in the remedy.
        if (begin === "") expect(report.findings[index]?.remedy).toMatch(remedy);
        else expect(report.findings[index]?.remedy).not.toMatch(/gorkflow migrate/);
      }

      await restoreAll(client, tables);
      const left = (await doctor(client, { tables })).findings.map((finding) => finding.code);
      const codes = drift.findings.map(([of]) => of);
      expect(left).toEqual(codes.filter((of) => of !== "TABLE_MISSING" && of !== "INDEX_MISSING"));
    },
  );
});

/** Runs the statements that `doctor` prints, until it prints none. */
async function restoreAll(client: Client, tables?: WorkflowTables): Promise<void> {
  for (;;) {
    const { findings } = await doctor(client, { tables });
    const statements = findings.flatMap(
      ({ remedy }) => /run: (create .*?);/.exec(remedy)?.[1] ?? [],
    );
    if (statements.length === 0) return;
    for (const statement of statements) await client.execute(statement);
  }
}

test("tables whose prefix needs quotes are restored, too", async () => {
  const client = open(":memory:");
  const quoted = createWorkflowTables({ prefix: 'my-"app" ' });
  await restoreAll(client, quoted);
  expect(await doctor(client, { tables: quoted })).toEqual({ healthy: true, findings: [] });
  await fill(storeOf(client, quoted));
  await client.migrate([`delete from "my-""app"" workflow_runs"`]);
  expect((await doctor(client, { tables: quoted })).findings).toHaveLength(4);
});

test("what no statement restores goes through an export into a new file", async () => {
  const url = (await kinds[0]?.copy()) ?? "";
  const client = open(url);
  const before = await storeOf(client).readBundles();
  for (const { name, plant, findings } of drifts) {
    // An export needs every column.
    if (findings.some(([code]) => /^(TABLE|COLUMN)_MISSING$/.test(code))) continue;
    if (/another type|foreign key|check|primary key|unique constraint/.test(name)) {
      await plant(client, "").catch(() => {});
    }
  }
  expect((await doctor(client)).healthy).toBe(false);
  const file = join(folder.path, "moved.ndjson");
  const moved = `file:${join(folder.path, "moved.db")}`;
  const at = { cwd: folder.path };
  expect(await runCommand(command, ["export", file, "-d", url], at)).toMatchObject({ code: 0 });
  expect(await runCommand(command, ["import", file, "-d", moved], at)).toMatchObject({ code: 0 });
  const restored = open(moved);
  expect(await doctor(restored)).toEqual({ healthy: true, findings: [] });
  expect(await storeOf(restored).readBundles()).toEqual(before);
});

test("on a server the same is found", async () => {
  const server = await startSqld();
  const client = open(server.httpUrl);
  await migrate(client);
  await fill(storeOf(client));
  const [drift] = drifts.slice(-1);
  await drift?.plant(client, "");

  const { code, report } = await diagnose(asProgram, server.httpUrl);
  expect(code).toBe(1);
  const found = drift?.findings.map(([of]) => of) ?? [];
  expect(report.findings.map((finding) => finding.code)).toEqual(found);
  await restoreAll(client);
  expect((await doctor(client)).findings.map((finding) => finding.code)).toEqual(
    found.filter((of) => of !== "INDEX_MISSING"),
  );
  await server.stop();
}, 30_000);

describe("who is to bring the tables up to date decides what to do:", () => {
  const [copy] = kinds.map((kind) => kind.copy);
  const remedies = async (client: Client) =>
    (await doctor(client)).findings.map(({ code, remedy }) => `${code} ${remedy}`);

  test("an empty database has no table, and there are two ways to make them", async () => {
    const client = open(":memory:");
    expect(await remedies(client)).toEqual(
      Object.keys(prefixed).map(
        () =>
          "TABLE_MISSING run `gorkflow migrate`, or apply the migrations that your own drizzle-kit generates",
      ),
    );
  });

  test("tables with a prefix are none of our migrations' from the beginning", async () => {
    const client = open(":memory:");
    for (const { remedy } of (await doctor(client, { tables: prefixed })).findings) {
      expect(remedy).toMatch(/^generate and apply a migration with your own drizzle-kit/);
    }
    await restoreAll(client, prefixed);
    expect(await doctor(client, { tables: prefixed })).toEqual({ healthy: true, findings: [] });
  });

  test("with migrations to apply, they come first", async () => {
    const client = open((await copy?.()) ?? "");
    await client.execute(
      `delete from ${migrationsTable} where created_at = (select max(created_at) from ${migrationsTable})`,
    );
    await client.execute("drop index workflow_runs_completed_at_idx");
    expect(await remedies(client)).toEqual([
      "INDEX_MISSING run `gorkflow migrate`, and then this again",
      "MIGRATIONS_PENDING run `gorkflow migrate`",
    ]);
  });

  test("what a newer version has made is left to it", async () => {
    const client = open((await copy?.()) ?? "");
    await client.executeMultiple(
      `insert into ${migrationsTable} (hash, created_at) values ('newer', 9e12);
       create table workflow_signals (run_id text); drop index workflow_runs_status_idx`,
    );
    expect(await remedies(client)).toEqual([
      expect.stringMatching(/^INDEX_MISSING use the version of gorkflow that migrated this/),
      expect.stringMatching(/^TABLE_EXTRA drop it if/),
      expect.stringMatching(/^MIGRATIONS_UNKNOWN use the version/),
    ]);
  });

  test("a migration that was edited after it was applied is of another version, and keeps the others waiting", async () => {
    const client = open((await copy?.()) ?? "");
    await client.execute(`update ${migrationsTable} set hash = 'edited' where rowid = 1`);
    const another = "use the version of the package that applied them, or a later one";
    expect(await remedies(client)).toEqual([
      `MIGRATIONS_PENDING ${another}`,
      `MIGRATIONS_UNKNOWN ${another}`,
    ]);
  });

  test("where the app's own migrations make them, they come first", async () => {
    const client = open((await copy?.()) ?? "");
    // As a migration that was refused has left it.
    await client.executeMultiple(
      `delete from ${migrationsTable}; drop index workflow_runs_status_idx`,
    );
    expect(await remedies(client)).toEqual([
      "INDEX_MISSING generate and apply a migration with your own drizzle-kit; if it finds nothing to do, " +
        'run: create index "workflow_runs_status_idx" on "workflow_runs" ("status", "created_at", "run_id");',
    ]);
  });
});

test("options that are not the tables of a store are refused", async () => {
  const client = open(":memory:");
  const tables = createWorkflowTables({ prefix: "app_" });
  for (const options of [tables, { tables: null }, { tables: { workflowRuns: tables } }, null]) {
    await expect(doctor(client, options as never)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  }
});

test("rows whose run is gone are told of, and do no harm", async () => {
  const client = open(":memory:");
  await migrate(client);
  await fill(storeOf(client));
  await client.migrate(["delete from workflow_runs where run_id = 'a'"]);
  const { healthy, findings } = await doctor(client);
  expect(healthy).toBe(true);
  expect(findings.map(({ code, severity, message }) => `${severity} ${code} ${message}`)).toEqual(
    ["step_executions", "step_attempts", "step_outputs", "workflow_state"].map(
      (table) => `warning ORPHANED_ROWS 1 row(s) of ${table} belong to runs that are gone`,
    ),
  );
  expect(findings[0]?.remedy).toMatch(/pruneRuns/);
});

test("steps that name another workflow than their run are told of", async () => {
  const client = open(":memory:");
  await migrate(client);
  await fill(storeOf(client));
  await client.execute("update workflow_runs set workflow_id = 'renamed'");
  const { healthy, findings } = await doctor(client);
  expect(healthy).toBe(true);
  expect(findings).toEqual([
    expect.objectContaining({ code: "WORKFLOW_CHANGED", table: "step_executions" }),
  ]);
  await client.execute("update step_executions set workflow_id = 'renamed'");
  expect((await doctor(client)).findings).toEqual([]);
});
