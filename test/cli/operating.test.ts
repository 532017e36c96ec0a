import { once } from "node:events";
import { existsSync } from "node:fs";
import { link, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, vi } from "vitest";
import { openStore } from "../../src/open-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();

const path = (name: string) => join(command.folder.path, name);

const answer = (args: readonly string[], database?: string) =>
  command.answer(args, database === undefined ? {} : { env: { GORKFLOW_DATABASE_URL: database } });

/** A file with a few finished and failed runs. */
async function givenRuns(name = "runs.db", runs = 40): Promise<string> {
  const database = command.folder.database(name);
  await makeBulkRuns(database, runs);
  return database;
}

interface RunList {
  readonly runs: readonly { readonly runId: string; readonly status: string }[];
}

describe.each(["a file", "a server"])("on %s", (place) => {
  test("runs are copied, listed, shown, counted, retried, cancelled and deleted", async () => {
    const source = await givenRuns();
    const database = place === "a file" ? command.folder.database("target.db") : server.httpUrl;
    expect(await answer(["copy", source, database])).toEqual({ copied: 40, unchanged: 0 });
    expect(await answer(["compare", source, database])).toMatchObject({ runs: 40 });

    const failed = (await answer(["runs", "list", "--status", "FAILED"], database)) as RunList;
    expect(failed.runs.map(({ runId }) => runId)).toEqual(["run-000000023", "run-000000003"]);
    expect(await answer(["runs", "show", "run-000000003"], database)).toMatchObject({
      run: { runId: "run-000000003", status: "FAILED" },
      steps: [0, 1, 2, 3].map((index) => ({ stepId: `step-${index}` })),
    });
    expect(await answer(["stats"], database)).toMatchObject({
      rows: { workflowRuns: 40, stepExecutions: 160 },
      runs: { FAILED: 2, PENDING: 1, COMPLETED: 37 },
    });
    const reports = (await answer(["report", "reliability"], database)) as unknown[];
    expect(reports.length).toBeGreaterThan(0);

    const env = { GORKFLOW_DATABASE_URL: database };
    expect((await command.run(["runs", "retry", "run-000000003"], { env })).code).toBe(0);
    const different = await command.run(["compare", source, database]);
    expect(different.code).toBe(1);
    expect(different.stdout).toContain(
      "run run-000000003: status is FAILED in the first and PENDING in the second\n",
    );
    expect((await command.run(["runs", "cancel", "run-000000003"], { env })).code).toBe(0);

    const policy = ["prune", "--older-than", "1d", "--status", "COMPLETED"];
    expect(await answer([...policy, "--dry-run"], database)).toMatchObject({ deletedRuns: 37 });
    expect(await answer(["stats"], database)).toMatchObject({ rows: { workflowRuns: 40 } });
    expect(await answer(policy, database)).toMatchObject({ deletedRuns: 37 });
    expect(await answer(["stats"], database)).toMatchObject({
      rows: { workflowRuns: 3 },
      runs: { CANCELLED: 1, FAILED: 1, PENDING: 1 },
    });
  });
});

test("runs that match a filter are retried, cancelled and deleted", async () => {
  const database = await givenRuns();
  await answer(["runs", "delete", "--status", "PENDING"], database);
  const report = { dryRun: false, refusedRuns: 0, refused: [] };

  const retry = ["runs", "retry", "--status", "FAILED"];
  const planned = { ...report, dryRun: true, changedRuns: 2 };
  expect(await answer([...retry, "--dry-run"], database)).toEqual(planned);
  expect(await answer(["runs", "retry", "--before", "2001-01-01"], database)).toEqual({
    ...report,
    changedRuns: 0,
  });
  expect(await answer(retry, database)).toEqual({ ...report, changedRuns: 2 });

  const env = { GORKFLOW_DATABASE_URL: database };
  const cancel = ["runs", "cancel", "--workflow", "workflow-3", "--all"];
  expect((await command.run(cancel, { env })).code).toBe(2);
  const cancelled = await command.run(["runs", "cancel", "--all"], { env });
  expect([cancelled.code, cancelled.stdout]).toEqual([0, "cancelled: 2 runs\n"]);
  expect(await answer(["stats"], database)).toMatchObject({ runs: { CANCELLED: 2 } });

  const deletion = ["runs", "delete", "--status", "cancelled"];
  const wouldBe = await command.run([...deletion, "--dry-run"], { env });
  expect(wouldBe.stdout).toBe("would be deleted: 2 runs (dry run)\n");
  expect((await command.run(deletion, { env })).stdout).toBe("deleted: 2 runs\n");
  expect(await answer(["stats"], database)).toMatchObject({ rows: { workflowRuns: 37 } });
  expect(await answer(["runs", "delete", "run-000000001"], database)).toEqual({
    deleted: ["run-000000001"],
    failed: [],
  });
});

test("a run is retried from a step", async () => {
  const database = await givenRuns();
  const retry = ["runs", "retry", "run-000000001", "--from", "step-2"];
  expect(await answer(retry, database)).toEqual({ pending: ["run-000000001"], failed: [] });
  expect(await answer(["runs", "show", "run-000000001"], database)).toMatchObject({
    run: { status: "PENDING", progress: 0.5 },
    steps: [
      { stepId: "step-0" },
      { stepId: "step-1" },
      { stepId: "step-2", status: "PENDING", attempt: 0 },
    ],
  });
  const env = { GORKFLOW_DATABASE_URL: database };
  const missing = await command.run(["runs", "retry", "run-000000003", "--from", "none"], { env });
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("none")]);
});

test("a command for several runs needs ids or a filter, of runs that it can change", async () => {
  const env = { GORKFLOW_DATABASE_URL: await givenRuns() };
  const unnamed = "name runs by their ids, or select them with a filter or with --all";
  for (const [args, reason] of [
    [["cancel"], unnamed],
    [["delete", "--dry-run"], unnamed],
    [["retry", "run-000000003", "--status", "FAILED"], unnamed],
    [["delete", "run-000000003", "--all"], unnamed],
    [["retry", "run-000000003", "--dry-run"], "--dry-run is for a filter or --all"],
    [["retry", "--all", "--from", "step-0"], "--from needs ids of runs"],
    [["cancel", "--status", "FAILED"], "may only name PENDING and RUNNING"],
  ] as const) {
    const { code, stdout, stderr } = await command.run(["runs", ...args], { env });
    expect([code, stdout], args.join(" ")).toEqual([2, ""]);
    expect(stderr).toContain(reason);
  }
});

test("runs that rows of the app need are reported, and stay", async () => {
  const database = await givenRuns();
  const store = await LibSQLStore.open(database);
  await store.db.$client.executeMultiple(`
    create table orders (run_id text references workflow_runs);
    insert into orders values ('run-000000003')`);
  await store.close();
  const deletion = ["runs", "delete", "--status", "FAILED", "-d", database];
  const { code, stdout, stderr } = await command.run(deletion);
  expect([code, stdout]).toEqual([1, "deleted: 1 run\n"]);
  expect(stderr).toContain("not deleted: ");
  const again = await command.run([...deletion, "--json"]);
  expect([again.code, JSON.parse(again.stdout)]).toEqual([
    1,
    {
      dryRun: false,
      changedRuns: 0,
      refusedRuns: 1,
      refused: [expect.objectContaining({ runId: "run-000000003", code: "CONSTRAINT" })],
    },
  ]);
});

test("a run is watched until another process ends it", async () => {
  const database = await givenRuns();
  const env = { GORKFLOW_DATABASE_URL: database };
  const watching = command.start(["runs", "watch", "run-000000007"], { env });
  let seen = "";
  watching.process.stdout.on("data", (text: string) => (seen += text));
  await vi.waitFor(() => expect(seen).toContain("PENDING"), 10_000);
  expect((await command.run(["runs", "cancel", "run-000000007"], { env })).code).toBe(0);
  const { code, stdout } = await watching.ended;
  expect(stdout).toContain("CANCELLED");
  expect(code).toBe(1);
});

describe("an export", () => {
  test("is imported elsewhere, and runs are replaced only on request", async () => {
    const database = await givenRuns();
    await answer(["export", "runs.ndjson.gz"], database);
    const lines = gunzipSync(await readFile(path("runs.ndjson.gz")))
      .toString()
      .trim()
      .split("\n");
    expect(lines).toHaveLength(42);
    const other = command.folder.database("other.db");
    expect(await answer(["import", "runs.ndjson.gz"], other)).toMatchObject({ written: 40 });
    expect(await answer(["compare", database, other])).toMatchObject({ runs: 40 });
    const env = { GORKFLOW_DATABASE_URL: other };
    const again = await command.run(["import", "runs.ndjson.gz"], { env });
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("--on-conflict")]);
    const skipped = await answer(["import", "runs.ndjson.gz", "--on-conflict", "skip"], other);
    expect(skipped).toMatchObject({ written: 0, skipped: 40 });
  });

  test.each([
    ["is half-written", (text: string) => text.slice(0, text.length / 2), /ends after line/],
    [
      "is of a newer format",
      (text: string) => text.replace(/"version":\d+/, '"version":99'),
      /its format is 99/,
    ],
    ["was changed", (text: string) => text.replace('"order":5', '"order":6'), /checksum/],
  ])("that %s changes nothing", async (_, spoil, reason) => {
    const database = await givenRuns();
    await answer(["export", "runs.ndjson"], database);
    await writeFile(path("spoiled.ndjson"), spoil(await readFile(path("runs.ndjson"), "utf8")));
    const other = command.folder.database("other.db");
    await command.run(["migrate", "-d", other]);
    const { code, stderr } = await command.run(["import", "spoiled.ndjson", "-d", other]);
    expect([code, stderr.trim().split("\n")]).toEqual([1, [expect.stringMatching(reason)]]);
    expect(await answer(["stats"], other)).toMatchObject({ rows: { workflowRuns: 0 } });
  });
});

test("a reader that closes the pipe ends the command without an error", async () => {
  const database = await givenRuns("runs.db", 20_000);
  const listing = command.start(["runs", "list", "--all", "--ndjson", "-d", database]);
  await once(listing.process.stdout, "data");
  listing.process.stdout.destroy();
  expect(await listing.ended).toMatchObject({ code: 0, stderr: "" });
});

describe("is refused in one line, and nothing is created:", () => {
  test.each([
    ["a file that is not there", ["stats", "-d", "missing.db"], 1, /there is no database file/],
    ["an unknown status", ["runs", "list", "--status", "DONE"], 2, /DONE|status/i],
    ["a limit of 0", ["runs", "list", "--limit", "0"], 2, /limit/],
    ["an unknown run", ["runs", "show", "nobody"], 1, /run nobody does not exist/],
    ["an unknown report", ["report", "everything"], 2, /everything/],
    ["a copy into itself", ["copy", "runs.db", "./runs.db"], 2, /both are the same database/],
    ["a copy to a link to it", ["copy", "runs.db", "linked.db"], 2, /both are the same database/],
    ["a comparison with itself", ["compare", "http://a.b", "http://a.b/?authToken=x"], 2, /same/],
    [
      "a tag with two values",
      ["runs", "delete", "-t", "a=1", "-t", "a=2"],
      2,
      /one value of a tag/,
    ],
    ["a user in a URL", ["stats", "-d", "http://SECRET:SECRET@a.b"], 2, /GORKFLOW_AUTH_TOKEN/],
    ["a missing option", ["prune"], 2, /--older-than .*\n\(gorkflow prune --help shows the usage/],
    ["an import of a missing file", ["import", "no.ndjson", "-d", "missing.db"], 1, /no such file/],
    ["an import of a folder", ["import", ".", "-d", "missing.db"], 1, /is a folder/],
    ["an export into nowhere", ["export", "no/where.ndjson"], 1, /no such file or directory/],
    ["an export to a folder", ["export", "."], 1, /^gorkflow: .: is a folder\n$/],
    ["an export to a database", ["export", "linked.db"], 1, /linked.db: is a database/],
  ] as const)("%s", async (_, args, expected, reason) => {
    const database = await givenRuns();
    await link(path("runs.db"), path("linked.db"));
    const env = { GORKFLOW_DATABASE_URL: database };
    const { code, stderr } = await command.run(args, { env });
    expect([code, stderr]).toEqual([expected, expect.stringMatching(reason)]);
    expect(stderr).not.toContain("SECRET");
    expect(existsSync(path("missing.db"))).toBe(false);
  });
});

test("control characters in ids, names and messages are shown as JSON escapes", async () => {
  const database = command.folder.database();
  const store = await openStore(database);
  const runId = "two\nlines \u001b[2J";
  await store.createRun({ runId, workflowId: "\u202egnirts", status: "FAILED" });
  await store.createStepExecution({ runId, stepId: "\u009b2J" });
  await store.close();
  for (const args of [
    ["runs", "list"],
    ["runs", "show", runId],
    ["runs", "show", "\u001b[2J"],
    ["report", "storage"],
    ["runs", "list", "--json"],
    ["compare", database, "empty.db"],
  ]) {
    await command.run(["migrate", "-d", "empty.db"]);
    const env = { GORKFLOW_DATABASE_URL: database };
    const { stdout, stderr } = await command.run(args, { env });
    expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]|\p{Bidi_Control}/u);
    expect(stdout + stderr).toMatch(/\\u001b\[2J|\\u202egnirts/);
  }
  const listed = await answer(["runs", "list"], database);
  expect((listed as RunList).runs.map((run) => run.runId)).toEqual([runId]);
});

test("an export and an import are piped by the paths of their streams", async () => {
  await givenRuns();
  const script =
    '"$0" "$1" export /dev/stdout -d runs.db | "$0" "$1" import /dev/stdin -d other.db --json';
  const { stdout, stderr } = await command.shell(script, [process.execPath, command.program]);
  expect([stderr, JSON.parse(stdout)]).toMatchObject(["40 of 40 runs\n", { written: 40 }]);
});

test("an import reads a named pipe once", async () => {
  await givenRuns();
  await answer(["export", "runs.ndjson", "-d", "runs.db"]);
  const script = `mkfifo pipe; cat runs.ndjson > pipe & exec "$0" "$1" import pipe -d other.db`;
  const { code, stdout } = await command.shell(script, [process.execPath, command.program]);
  expect([code, stdout]).toEqual([0, "40 runs imported, 0 skipped, 0 replaced\n"]);
});

test("the database can be named in a file .env", async () => {
  await givenRuns();
  await writeFile(path(".env"), "GORKFLOW_DATABASE_URL=file:./runs.db\n");
  expect(await answer(["stats"])).toMatchObject({ rows: { workflowRuns: 40 } });
});

test("a shell completes commands and options", async () => {
  const script = await command.run(["complete", "bash"]);
  expect(script.stdout).toContain("# bash completion for gorkflow");
  const commands = await command.run(["complete", "--", "exp"]);
  expect(commands.stdout).toContain("export\t");
  const options = await command.run(["complete", "--", "runs", "list", "--st"]);
  expect(options.stdout).toContain("--status\t");
});

test("a list shows the version and the error of each run, and a run without its worker is stuck", async () => {
  const database = command.folder.database("list.db");
  const store = await openStore(database);
  const error = { message: `the printer\nis ${"far ".repeat(30)}away` };
  await store.createRun({
    runId: "a",
    workflowId: "orders",
    workflowVersion: "7.1",
    status: "FAILED",
    error,
  });
  await store.createRun({ runId: "b", workflowId: "orders" });
  await store.claimRuns({ workerId: "w", leaseMs: 1, limit: 1 });
  await store.close();
  const env = { GORKFLOW_DATABASE_URL: database };
  const { stdout } = await command.run(["runs", "list"], { env });
  expect(stdout).toMatch(/^a +orders +7\.1 +FAILED .* the printer\\u000ais far .*…$/m);
  await vi.waitFor(async () => {
    const stuck = (await answer(["report", "stuck"], database)) as { runId: string }[];
    expect(stuck.map(({ runId }) => runId)).toEqual(["b"]);
  });
});
