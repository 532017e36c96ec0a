import { readdir, rm } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LocalClientConfig } from "../../src/client/config.ts";
import { createClient } from "../../src/client/create-client.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

describe("a URL", () => {
  test.each([
    ["file:", (path: string) => `file:${path}/w.db`],
    ["file://", (path: string) => `file://${path}/w.db`],
    ["file://localhost", (path: string) => `file://localhost${path}/w.db`],
    ["percent-encoded", (path: string) => `file:${path}/%77.db`],
  ])("%s names a file", async (_, urlOf) => {
    const client = createClient(urlOf(folder.path));
    await client.execute("create table t (a)");
    client.close();
    expect(await readdir(folder.path)).toContain("w.db");
  });

  test.each([
    "",
    "file:",
    "workflows.db",
    "libsql://example.turso.io",
    "http://localhost",
    "file://example.com/w.db",
    "file:w.db?mode=ro",
    "file:w.db#x",
    "file:%00",
    "file:%zz",
  ])("%j is refused", (url) => {
    expect(() => createClient(url)).toThrow(
      expect.objectContaining({ argument: "config.url" }) as Error,
    );
  });
});

test.each([
  [{ durability: "none" }, "config.durability"],
  [{ busyTimeoutMs: -1 }, "config.busyTimeoutMs"],
  [{ busyTimeoutMs: 1.5 }, "config.busyTimeoutMs"],
  [{ intMode: "float" }, "config.intMode"],
  [{ encryptionKey: "" }, "config.encryptionKey"],
  [{ authToken: "secret" }, "config.authToken"],
  [{ syncUrl: "http://localhost" }, "config.syncUrl"],
])("%j is refused by its name, and not quoted", (options, argument) => {
  const config = { url: folder.database(), ...options } as unknown as LocalClientConfig;
  try {
    createClient(config);
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    expect((error as Error).message).not.toContain("secret");
  }
});

describe.each([
  ["full", 2],
  ["normal", 1],
] as const)("durability %s", (durability, synchronous) => {
  test("is in force on every connection", async () => {
    const client = createClient({ url: folder.database(), durability });
    const writer = await client.transaction("write");
    const readers = await Promise.all(Array.from({ length: 6 }, () => client.transaction("read")));
    for (const connection of [writer, ...readers]) {
      expect((await connection.execute("pragma synchronous")).rows).toEqual([{ synchronous }]);
    }
    const [main] = await client.read([{ sql: "pragma synchronous", args: [] }]);
    expect(main?.rows).toEqual([[synchronous]]);
    for (const connection of [writer, ...readers]) connection.close();
    expect((await client.execute("pragma synchronous")).rows).toEqual([{ synchronous }]);
    client.close();
  });
});

test("durability is full when nothing is said", async () => {
  const client = createClient(folder.database());
  expect((await client.execute("pragma synchronous")).rows).toEqual([{ synchronous: 2 }]);
  client.close();
});

test("a new file has a write-ahead log, foreign keys, and can give space back", async () => {
  const client = createClient(folder.database());
  const pragmas = ["journal_mode", "foreign_keys", "auto_vacuum"];
  const results = await Promise.all(pragmas.map((name) => client.execute(`pragma ${name}`)));
  expect(results.map(({ rows }) => rows[0]?.[0])).toEqual(["wal", 1, 2]);
  client.close();
});

test("a closed client leaves one file that holds everything", async () => {
  const client = createClient(folder.database());
  await client.execute("create table t (a)");
  await client.execute("insert into t values (1)");
  expect((await client.execute("select a from t")).rows).toEqual([{ a: 1 }]);
  client.close();
  await rm(`${folder.path}/workflows.db-wal`, { force: true });
  const again = createClient(folder.database());
  expect((await again.execute("select a from t")).rows).toEqual([{ a: 1 }]);
  again.close();
});

test("an encrypted file opens with its key only", async () => {
  const url = folder.database();
  const client = createClient({ url, encryptionKey: "right" });
  await client.execute("create table t (a)");
  await client.execute("insert into t values (1)");
  expect((await client.execute("select a from t")).rows).toEqual([{ a: 1 }]);
  client.close();
  for (const config of [url, { url, encryptionKey: "wrong" }]) {
    expect(() => createClient(config)).toThrow(
      expect.objectContaining({ code: "SQLITE_NOTADB" }) as Error,
    );
  }
  const again = createClient({ url, encryptionKey: "right" });
  expect((await again.execute("select a from t")).rows).toEqual([{ a: 1 }]);
  again.close();
});
