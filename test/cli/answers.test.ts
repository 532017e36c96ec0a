import { existsSync } from "node:fs";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { parseDuration, parseTime } from "../../src/cli/output/times.ts";
import {
  formatBytes,
  formatDuration,
  formatShare,
  formatTime,
} from "../../src/cli/output/words.ts";
import { openStore } from "../../src/open-store.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();

test.each([
  "6M",
  "6mo",
  "6 m",
  "6D",
  "1y",
  "90",
  "-1d",
  "",
  "2026-02-31",
  "2026-11-20 ",
  "2026-13-01",
  "2026-11-20T25:00",
  "2026-11-20T00:00+99:00",
])("%j is not a time", (text) => {
  expect(() => parseTime(text)).toThrow(/A time is/);
  expect(() => parseDuration(text)).toThrow(/length of time/);
});

test("a time without a zone is in UTC", () => {
  expect(parseTime("2026-11-20T00:00").toISOString()).toBe("2026-11-20T00:00:00.000Z");
  expect(parseTime("2026-11-20").toISOString()).toBe("2026-11-20T00:00:00.000Z");
  expect(parseTime("2024-02-29T12:00+02:00").toISOString()).toBe("2024-02-29T10:00:00.000Z");
  expect(parseDuration("30m")).toBe(1_800_000);
});

test("values are rounded before their unit is chosen", () => {
  expect([999.6, 59_960, 59_949, 3_599_999, 7_776_000_000].map(formatDuration)).toEqual(
    ["1.0 s", "1 min 0 s", "59.9 s", "60 min 0 s", "90 d 0 h"].with(3, formatDuration(3_600_000)),
  );
  expect([1023, 1024, 1024 * 1024 - 1].map(formatBytes)).toEqual(["1023 B", "1.0 KiB", "1.0 MiB"]);
  expect([0, 0.0001, 0.996, 0.99999, 1].map(formatShare)).toEqual([
    "0 %",
    "< 0.1 %",
    "99.6 %",
    "> 99.9 %",
    "100 %",
  ]);
  expect(formatTime(new Date(8.64e15))).toBe("+275760-09-13T00:00:00Z");
});

test.each(["UTC", "Europe/Berlin", "Europe/London", "America/New_York", "Asia/Kolkata"])(
  "a time as printed in %s is accepted by options",
  (zone) => {
    const time = new Date("2026-01-31T23:59:59Z");
    expect(parseTime(formatTime(time, zone))).toEqual(time);
  },
);

async function givenRuns(): Promise<string> {
  const database = command.folder.database();
  const store = await openStore(database);
  const error = { name: "Error", message: "no" };
  for (const [runId, status] of [
    ["a", "FAILED"],
    ["b", "COMPLETED"],
    ["c", "FAILED"],
    ["--x", "FAILED"],
    ["red\u001b[31m\nnew", "FAILED"],
  ] as const) {
    await store.createRun({
      runId,
      workflowId: "w",
      status,
      error: status === "FAILED" ? error : null,
    });
  }
  await store.createStepExecution({ runId: "a", stepId: "s", status: "FAILED", error });
  await store.close();
  return database;
}

test("retry processes all ids, reports each, and reads them from standard input", async () => {
  const database = await givenRuns();
  const all = await command.run(["runs", "retry", "a", "b", "c", "none", "--json", "-d", database]);
  expect([all.code, JSON.parse(all.stdout)]).toEqual([
    1,
    {
      pending: ["a", "c"],
      failed: [
        expect.objectContaining({ runId: "b", code: "RUN_TRANSITION" }),
        expect.objectContaining({ runId: "none", code: "RUN_NOT_FOUND" }),
      ],
    },
  ]);
  const input = await command.run(["runs", "cancel", "-", "-d", database], {
    input: "a\n--x\nc\n",
  });
  expect([input.code, input.stdout]).toEqual([1, "cancelled a\ncancelled c\n"]);
  // An id may have a carriage return. Its parts are other runs.
  const split = await command.run(["runs", "cancel", "-", "-", "-d", database], {
    input: "a\rb\r\nc\u2028d",
  });
  expect([split.code, split.stdout]).toEqual([1, ""]);
  expect(split.stderr.match(/^not cancelled: /gm)).toHaveLength(2);
  const twice = await command.run(["runs", "cancel", "a", "-d", database, "--database=x.db"]);
  expect([twice.code, twice.stderr]).toEqual([2, expect.stringContaining("was given twice")]);
});

test("ids are escaped before they are colored", async () => {
  const database = await givenRuns();
  for (const env of [{ FORCE_COLOR: "1" }, { NO_COLOR: "1" }]) {
    const { stdout } = await command.run(["runs", "list", "-d", database], { env });
    expect(stdout).toContain(String.raw`red\u001b[31m\u000anew`);
  }
});

test("an error is shown once, with its step", async () => {
  const database = await givenRuns();
  const { stdout } = await command.run(["runs", "show", "a", "-d", database]);
  expect(stdout.match(/"message": "no"/g)).toHaveLength(1);
});

test("bytes are shown as in the database", async () => {
  const database = await givenRuns();
  const store = await openStore(database);
  await store.saveState("a", "k", { file: new Uint8Array([1, 2, 3]) });
  await store.close();
  const show = ["runs", "show", "a", "-d", database, "--payloads"];
  expect((await command.run(show)).stdout).toContain('"$gorkflow.bytes": "AQID"');
  const { stdout } = await command.run([...show, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    state: [{ value: { file: { "$gorkflow.bytes": "AQID" } } }],
  });
});

test("a file .env that cannot be read is named, and only if it is needed", async () => {
  const path = join(command.folder.path, ".env");
  await symlink(".env", path);
  expect((await command.run(["--version"])).code).toBe(0);
  const { code, stderr } = await command.run(["runs", "list", "-d", await givenRuns()]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("the file .env")]);
  await rm(path);
});

test("an option is not the value of another one", async () => {
  const usage = await command.run(["migrate", "--database", "--status", "--json"]);
  expect([usage.code, JSON.parse(usage.stderr)]).toEqual([
    2,
    { error: expect.objectContaining({ code: "USAGE" }) },
  ]);
  const { code } = await command.run(["migrate", "--database=--status"]);
  expect([code, existsSync(join(command.folder.path, "--status"))]).toEqual([0, true]);
});

test("a path may begin with two slashes", async () => {
  const path = fileURLToPath(await givenRuns());
  expect((await command.run(["runs", "show", "a", "-d", `/${path}`])).code).toBe(0);
});

test("a folder .env is ignored, usage errors are JSON, and a full disk is reported", async () => {
  await mkdir(join(command.folder.path, ".env"));
  expect((await command.run(["--version"])).code).toBe(0);
  const usage = await command.run(["report", "runs", "--limit", "0", "--json"]);
  expect([usage.code, JSON.parse(usage.stderr)]).toEqual([
    2,
    { error: expect.objectContaining({ code: "USAGE" }) },
  ]);
  const full = await command.shell('"$0" "$1" migrate --sql > /dev/full', [
    process.execPath,
    command.program,
  ]);
  expect([full.code, full.stderr]).toEqual([
    1,
    expect.stringContaining("cannot be written (ENOSPC)"),
  ]);
});

test("an export to a full disk is reported once", async () => {
  const database = await givenRuns();
  const script = '"$0" "$1" export - -d "$2" --json > /dev/full';
  const args = [process.execPath, command.program, database];
  const { code, stderr } = await command.shell(script, args);
  expect([code, JSON.parse(stderr)]).toMatchObject([1, { error: { code: "OUTPUT_FAILED" } }]);
});

test("a copy whose progress is not read continues to its end", async () => {
  const database = await givenRuns();
  const script =
    '"$0" "$1" copy "$2" target.db 2>&1 | true; sleep 3; "$0" "$1" compare "$2" target.db';
  const { code } = await command.shell(script, [process.execPath, command.program, database]);
  expect(code).toBe(0);
});
