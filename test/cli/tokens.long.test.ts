import { expect } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { startSqld, type Sqld } from "../support/sqld.ts";
import { createTokenIssuer } from "../support/tokens.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand } from "./support.ts";

const command = setUpCommand();
const issuer = createTokenIssuer();
const right = issuer.issue({ a: "rw" });
const readOnly = issuer.issue({ a: "ro" });
const wrong = createTokenIssuer().issue({ a: "rw" });

let server: Sqld;
test.beforeAll(async () => {
  server = await startSqld({ publicKey: issuer.publicKey });
});
test.afterAll(() => server.stop());

test.beforeEach(async () => {
  await makeBulkRuns(command.folder.database("runs.db"), 5);
  await command.runProcess(["export", "runs.ndjson", "-d", "runs.db"]);
});

const onServer = (token: string) => ({
  env: { GORKFLOW_DATABASE_URL: server.httpUrl, GORKFLOW_AUTH_TOKEN: token },
});

const looking = [
  ["stats"],
  ["doctor"],
  ["migrate", "--status"],
  ["runs", "list"],
  ["runs", "show", "run-000000001"],
  ["runs", "watch", "run-000000001"],
  ["runs", "delete", "--status", "FAILED", "--dry-run"],
  ["report", "stuck"],
  ["export", "refused.ndjson"],
];
const changing = [
  ["runs", "cancel", "run-000000001"],
  ["runs", "retry", "run-000000003"],
  ["runs", "delete", "--status", "FAILED"],
  ["prune", "--older-than", "1d"],
  ["import", "runs.ndjson"],
];

test("a wrong token is refused in one line that names its variable, and is never printed", async () => {
  const inUrl = { env: { GORKFLOW_DATABASE_URL: `${server.httpUrl}?authToken=${wrong}` } };
  const results = await Promise.all([
    ...[...looking, ...changing, ["migrate"]].map((args, index) =>
      index % 2 === 0
        ? command.runProcess(args, onServer(wrong))
        : command.runProcess([...args, "--json"], inUrl),
    ),
    command.runProcess(["copy", "runs.db", server.httpUrl], onServer(wrong)),
    command.runProcess(["copy", server.httpUrl, "target.db"], onServer(wrong)),
    command.runProcess(["compare", "runs.db", `${server.httpUrl}?authToken=${wrong}`]),
  ]);
  for (const { code, stdout, stderr } of results) {
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr.trim().split("\n")).toEqual([expect.stringContaining("GORKFLOW_AUTH_TOKEN")]);
    expect(stderr).not.toContain(wrong);
  }
});

test("the right token is read from either place, and the target of a copy may have its own", async () => {
  const inUrl = `${server.httpUrl}?authToken=${right}`;
  expect(await command.runProcess(["migrate", "-d", inUrl])).toMatchObject({ code: 0, stderr: "" });
  const copied = await command.runProcess(["copy", "runs.db", server.httpUrl, "--json"], {
    env: { GORKFLOW_AUTH_TOKEN: wrong, GORKFLOW_TO_AUTH_TOKEN: right },
  });
  expect([copied.code, JSON.parse(copied.stdout)]).toEqual([0, { copied: 5, unchanged: 0 }]);
  const compared = await command.runProcess(
    ["compare", "runs.db", server.httpUrl],
    onServer(right),
  );
  expect(compared).toMatchObject({ code: 0, stdout: "5 runs, all equal\n" });
});

test("a read-only token can read everything and change nothing", async () => {
  await command.runProcess(["migrate"], onServer(right));
  await command.runProcess(["copy", "runs.db", server.httpUrl, "--compare"], onServer(right));
  const seen = await Promise.all(
    looking
      .filter(([name, action]) => name !== "export" && action !== "watch")
      .map((args) => command.runProcess(args, onServer(readOnly))),
  );
  expect(seen.map(({ code, stderr }) => [code, stderr])).toEqual(seen.map(() => [0, ""]));
  const refused = await Promise.all(
    changing.map((args) => command.runProcess(args, onServer(readOnly))),
  );
  for (const { code, stderr } of refused) {
    expect([code, stderr]).toEqual([1, expect.stringContaining("token does not allow this")]);
    expect(stderr).not.toContain(readOnly);
  }
  const compared = await command.runProcess(
    ["compare", "runs.db", server.httpUrl],
    onServer(right),
  );
  expect(compared.stdout).toBe("5 runs, all equal\n");
});
