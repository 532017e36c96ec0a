import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { makeBulkRuns } from "../support/bulk-runs.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();

/** Where nobody listens. */
const nowhere = "http://127.0.0.1:9";

describe("a variable that belongs to GORKFLOW_DATABASE_URL", () => {
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

describe("GORKFLOW_AUTH_TOKEN", () => {
  const secret = "secret-of-the-shell";

  /** A server that notes the tokens it is shown, and refuses everything. */
  async function listening() {
    const tokens: (string | undefined)[] = [];
    const listener = createServer((request, response) => {
      tokens.push(request.headers.authorization);
      response.writeHead(401).end();
    });
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    onTestFinished(() => void listener.close());
    const { port } = listener.address() as AddressInfo;
    return { tokens, url: `http://127.0.0.1:${port}` };
  }

  test("of the shell is not sent to a server that a file .env names", async () => {
    for (const name of ["GORKFLOW_DATABASE_URL", "GORKFLOW_SYNC_URL", "GORKFLOW_READ_URL"]) {
      const { tokens, url } = await listening();
      await writeFile(join(command.folder.path, ".env"), `${name}=${url}\n`);
      const own = name === "GORKFLOW_SYNC_URL" ? "file:copy.db" : server.httpUrl;
      await command.run(["migrate", "-d", server.httpUrl]);
      await command.run(["stats"], {
        env: {
          GORKFLOW_AUTH_TOKEN: secret,
          ...(name !== "GORKFLOW_DATABASE_URL" && { GORKFLOW_DATABASE_URL: own }),
        },
      });
      expect(tokens.filter((token) => token !== undefined)).toEqual([]);
    }
  });

  test("is not sent to a server that --database names, unless it is the configured one", async () => {
    const { tokens, url } = await listening();
    const ask = (configured: string) =>
      command.run(["stats", "-d", `${url}/?tls=0`], {
        env: { GORKFLOW_AUTH_TOKEN: secret, GORKFLOW_DATABASE_URL: configured },
      });
    await ask("https://production.invalid");
    await command.run(["compare", url, server.httpUrl], { env: { GORKFLOW_AUTH_TOKEN: secret } });
    expect(tokens.filter((token) => token !== undefined)).toEqual([]);
    await ask(url);
    expect(tokens).toContain(`Bearer ${secret}`);
  });

  test("and GORKFLOW_DATABASE_URL in one file belong together", async () => {
    const { tokens, url } = await listening();
    await writeFile(
      join(command.folder.path, ".env"),
      `GORKFLOW_DATABASE_URL=${url}\nGORKFLOW_AUTH_TOKEN=${secret}\n`,
    );
    await command.run(["stats"]);
    expect(tokens).toContain(`Bearer ${secret}`);
  });

  test("is never sent over a plain connection to another machine", async () => {
    const env = { GORKFLOW_AUTH_TOKEN: secret, GORKFLOW_DATABASE_URL: "http://production.invalid" };
    const { code, stderr } = await command.run(["stats"], { env });
    expect([code, stderr]).toEqual([2, expect.stringContaining("env.GORKFLOW_AUTH_TOKEN")]);
    expect(stderr).not.toContain(secret);
  });
});

test("variables that do not apply to a named database are not used", async () => {
  const env = {
    GORKFLOW_DATABASE_URL: "file:own.db",
    GORKFLOW_ENCRYPTION_KEY: "key",
    GORKFLOW_DURABILITY: "normal",
    GORKFLOW_BUSY_TIMEOUT_MS: "100",
  };
  expect((await command.run(["migrate", "-d", server.httpUrl], { env })).code).toBe(0);
  const onServer = { GORKFLOW_DATABASE_URL: server.httpUrl, GORKFLOW_TIMEOUT_MS: "5000" };
  expect((await command.run(["migrate", "-d", "file:own.db"], { env: onServer })).code).toBe(0);
});

test.each([
  [["stats", "-d", "postgres://SECRET@a.b/c"], {}, "--database"],
  [["stats"], { GORKFLOW_DATABASE_URL: "mysql://SECRET@a.b" }, "GORKFLOW_DATABASE_URL"],
  [["copy", "postgresql://SECRET", "b.db"], {}, "postgresql:"],
  [["compare", "runs.db", "redis://SECRET"], {}, "redis:"],
])(
  "a URL that is none of a database is refused by what has named it: %j",
  async (args, env, name) => {
    await makeBulkRuns(command.folder.database("runs.db"), 1);
    const { code, stderr } = await command.run(args, { env });
    expect([code, stderr]).toEqual([2, expect.stringContaining(name)]);
    expect(stderr).not.toContain("SECRET");
    if (name === "--database") expect(stderr).not.toContain("GORKFLOW_DATABASE_URL");
  },
);
