import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();

/** Where nobody listens. */
const nowhere = "http://127.0.0.1:9";

describe("what belongs to the database of GORKFLOW_DATABASE_URL", () => {
  test("is not used for another one", async () => {
    const database = command.folder.database("other.db");
    await makeBulkRuns(database, 3);
    const env = {
      GORKFLOW_DATABASE_URL: nowhere,
      GORKFLOW_READ_URL: nowhere,
      GORKFLOW_SYNC_URL: nowhere,
      GORKFLOW_SYNC_INTERVAL_SECONDS: "1",
    };
    const { code, stdout, stderr } = await command.run(["stats", "--json", "-d", database], {
      env,
    });
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ rows: { workflowRuns: 3 } });
  });

  test("is a copy whose primary is asked: another process has the copy", async () => {
    const env = {
      GORKFLOW_DATABASE_URL: "file:copy.db",
      GORKFLOW_SYNC_URL: server.httpUrl,
      GORKFLOW_SYNC_INTERVAL_SECONDS: "1",
    };
    expect((await command.run(["migrate"], { env })).code).toBe(0);
    const { stdout } = await command.run(["stats", "--json"], { env });
    const { stdout: direct } = await command.run(["stats", "--json", "-d", server.httpUrl]);
    expect(JSON.parse(stdout)).toEqual(JSON.parse(direct));
    expect(existsSync(join(command.folder.path, "copy.db"))).toBe(false);
  });

  test("is a replica that lists are read from, and that a comparison does not look at", async () => {
    const database = command.folder.database();
    await makeBulkRuns(database, 3);
    const copied = await command.run(["copy", database, server.httpUrl]);
    expect(copied.stderr).not.toContain("gorkflow:");
    const env = { GORKFLOW_DATABASE_URL: server.httpUrl, GORKFLOW_READ_URL: "ftp://replica" };
    const compare = (variables: Record<string, string>) =>
      command.run(["compare", database, server.httpUrl], { env: variables });
    expect((await command.run(["runs", "list"], { env })).stderr).toContain("GORKFLOW_READ_URL");
    expect((await compare(env)).code).toBe(0);
  });
});

test("GORKFLOW_MIGRATE=false keeps an import from making tables, and gorkflow migrate makes them", async () => {
  const env = { GORKFLOW_DATABASE_URL: "file:kept.db", GORKFLOW_MIGRATE: "false" };
  await makeBulkRuns(command.folder.database("runs.db"), 3);
  await command.run(["export", "runs.ndjson", "-d", "runs.db"]);
  const refused = await command.run(["import", "runs.ndjson"], { env });
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("migrate")]);
  expect((await command.run(["migrate"], { env })).code).toBe(0);
  expect((await command.run(["import", "runs.ndjson"], { env })).code).toBe(0);
});
