import { readdir, stat } from "node:fs/promises";
import { describe, expect } from "vitest";
import { environmentOptions, environmentVariables } from "../src/environment.ts";
import { LibSQLStore } from "../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../src/stores/memory/memory-store.ts";
import { openStoreFromEnv } from "../src/open-store.ts";
import { test } from "./support/fixtures.ts";

describe("the store", () => {
  async function opened(env: Record<string, string>) {
    const said: string[] = [];
    const store = await openStoreFromEnv(env, { log: (sentence) => said.push(sentence) });
    await store.close();
    return { store, said: said.join("\n") };
  }

  test("is in memory without a URL, and says why", async () => {
    for (const env of [{}, { NODE_ENV: "test" }, { GORKFLOW_DATABASE_URL: "" }]) {
      const { store, said } = await opened(env);
      expect(store).toBeInstanceOf(MemoryStore);
      expect(said).toMatch(
        /in memory: GORKFLOW_DATABASE_URL is not set, and NODE_ENV is (not|nei)/,
      );
    }
  });

  test.for(["production", "staging"])("is a file when NODE_ENV is %s", async (mode, { folder }) => {
    const here = process.cwd();
    process.chdir(folder.path);
    try {
      const { store, said } = await opened({ NODE_ENV: mode });
      expect(store).toBeInstanceOf(LibSQLStore);
      expect(said).toBe(
        `workflows are kept in file:./workflows.db: GORKFLOW_DATABASE_URL is not set, and NODE_ENV is ${mode}`,
      );
      expect(await readdir(".")).toContain("workflows.db");
    } finally {
      process.chdir(here);
    }
  });

  test("is the one of the URL, of which nothing is said but its kind", async ({ folder }) => {
    const { store, said } = await opened({
      GORKFLOW_DATABASE_URL: folder.database("secret.db"),
      NODE_ENV: "test",
      GORKFLOW_DURABILITY: "normal",
      GORKFLOW_BUSY_TIMEOUT_MS: "100",
    });
    expect(store).toBeInstanceOf(LibSQLStore);
    expect(said).toBe("workflows are kept in a local file, as GORKFLOW_DATABASE_URL says");
  });

  test("is checked, not migrated, with GORKFLOW_MIGRATE=false", async ({ folder }) => {
    const env = { GORKFLOW_DATABASE_URL: folder.database(), GORKFLOW_MIGRATE: "false" };
    await expect(openStoreFromEnv(env, { log: () => undefined })).rejects.toMatchObject({
      code: "SCHEMA_OUT_OF_DATE",
    });
    await opened({ ...env, GORKFLOW_MIGRATE: "true" });
    await opened(env);
  });

  test("is not opened, and nothing is made, when a variable cannot be", async ({ folder }) => {
    const url = folder.database("never.db");
    const env = { GORKFLOW_DATABASE_URL: url, GORKFLOW_TIMEOUT_MS: "soon" };
    await expect(openStoreFromEnv(env)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(stat(`${folder.path}/never.db`)).rejects.toMatchObject({ code: "ENOENT" });
  });
});

test("every variable gives the option that it is for", () => {
  const server = { GORKFLOW_READ_URL: "https://replica", GORKFLOW_AUTH_TOKEN: "token" };
  expect(environmentOptions(server, "libsql://primary")).toEqual({
    url: "libsql://primary",
    readUrl: "https://replica",
    authToken: "token",
  });
  const copy = {
    GORKFLOW_SYNC_URL: "libsql://primary",
    GORKFLOW_SYNC_INTERVAL_SECONDS: "0.5",
    GORKFLOW_ENCRYPTION_KEY: "key",
    GORKFLOW_TIMEOUT_MS: "2000",
    GORKFLOW_MIGRATE: "false",
  };
  expect(environmentOptions(copy, "file:copy.db")).toEqual({
    url: "file:copy.db",
    syncUrl: "libsql://primary",
    syncIntervalSeconds: 0.5,
    encryptionKey: "key",
    timeoutMs: 2000,
    migrate: false,
  });
  const local = { GORKFLOW_DURABILITY: "normal", GORKFLOW_BUSY_TIMEOUT_MS: "0" };
  expect(environmentOptions(local, "file:local.db")).toEqual({
    url: "file:local.db",
    durability: "normal",
    busyTimeoutMs: 0,
  });
});

test("an empty variable is an absent one", () => {
  const names = Object.values(environmentVariables).map(({ name }) => name);
  const empty = Object.fromEntries(names.map((name) => [name, ""]));
  expect(environmentOptions(empty, "memory:")).toEqual({ url: "memory:" });
});

describe("a value that cannot be is refused by the variable's name, and not shown:", () => {
  test.for([
    ["GORKFLOW_DATABASE_URL", "postgres://SECRET", /must be :memory: or begin with/],
    ["GORKFLOW_DATABASE_URL", "http://user:SECRET@localhost", /must have no user and no password/],
    ["GORKFLOW_READ_URL", "ws://SECRET", /must begin with libsql:, http: or https:/],
    ["GORKFLOW_READ_URL", "http://SECRET", /is for a server/],
    ["GORKFLOW_SYNC_URL", "file:SECRET", /must begin with libsql:, http: or https:/],
    ["GORKFLOW_SYNC_INTERVAL_SECONDS", "0", />0/],
    ["GORKFLOW_SYNC_INTERVAL_SECONDS", "SECRET", /must be a number/],
    ["GORKFLOW_DURABILITY", "SECRET", /"full"\|"normal"/],
    ["GORKFLOW_TIMEOUT_MS", "0", />=1/],
    ["GORKFLOW_TIMEOUT_MS", "0x10", /must be a number/],
    ["GORKFLOW_TIMEOUT_MS", " 5 ", /must be a number/],
    ["GORKFLOW_BUSY_TIMEOUT_MS", "1.5", /int/],
    ["GORKFLOW_BUSY_TIMEOUT_MS", "-1", /must be a number/],
    ["GORKFLOW_MIGRATE", "SECRET", /"true"\|"false"/],
  ] as const)("%s=%s", async ([name, value, reason], { folder }) => {
    const env = { GORKFLOW_DATABASE_URL: folder.database(), [name]: value };
    const error = await openStoreFromEnv(env, { log: () => undefined }).catch(
      (failure: unknown) => failure,
    );
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", argument: `env.${name}` });
    expect((error as Error).message).toMatch(reason);
    expect((error as Error).message).not.toContain("SECRET");
  });

  test("what only a server or a file has is refused in memory, too", () => {
    for (const name of ["GORKFLOW_READ_URL", "GORKFLOW_SYNC_URL", "GORKFLOW_AUTH_TOKEN"]) {
      expect(() => environmentOptions({ [name]: "http://replica" }, "memory:")).toThrow(
        `env.${name}`,
      );
    }
  });
});
