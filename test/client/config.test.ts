import { mkdir, readdir, rm } from "node:fs/promises";
import { join, win32 } from "node:path";
import { pathToFileURL } from "node:url";
import { LibsqlError } from "@libsql/client";
import Database from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LocalClientConfig } from "../../src/client/config.ts";
import { createClient } from "../../src/client/create-client.ts";
import { pathOfUrl } from "../../src/client/file-path.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { hasNoSharedMemory, noWriteAheadLog } from "../../src/client/sqlite-errors.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { translateError } from "../../src/stores/sqlite/errors/translate.ts";
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
    "file:/tmp/100%/w.db",
    "file:/tmp/a%2Fb/w.db",
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

describe("a path", () => {
  test.each(["100%", "a%2Fb", "a b", "ü?#&", "%41", "[x]"])("may contain %j", async (name) => {
    const path = join(folder.path, name, "w.db");
    await mkdir(join(folder.path, name));
    const byPath = createClient({ path });
    await byPath.executeMultiple("create table t (a); insert into t values (1)");
    byPath.close();
    const client = createClient(pathToFileURL(path).href);
    expect((await client.execute("select a from t")).rows).toEqual([{ a: 1 }]);
    client.close();
    expect(await readdir(folder.path)).toEqual([name]);
    expect(await readdir(join(folder.path, name))).toContain("w.db");
  });

  test.each([
    ["file:///C:/x/a.db", "C:\\x\\a.db"],
    ["file:C:/x/a%20b.db", "C:\\x\\a b.db"],
    ["file:C:\\x\\a.db", "C:\\x\\a.db"],
    ["file://localhost/d:/a.db", "d:\\a.db"],
  ])("of Windows is read from %s", (url, path) => {
    expect(pathOfUrl(url, win32)).toBe(path);
  });

  test("is resolved when the client is made, whatever the folder is later", async () => {
    const before = process.cwd();
    process.chdir(folder.path);
    const client = createClient("file:./w.db");
    try {
      await client.execute("create table t (a)");
      process.chdir(before);
      await client.execute("insert into t values (1)");
      expect((await client.execute("select a from t")).rows).toEqual([{ a: 1 }]);
      const reader = await client.transaction("read");
      expect((await reader.execute("select a from t")).rows).toHaveLength(1);
      reader.close();
    } finally {
      process.chdir(before);
      client.close();
    }
  });
});

/** Every option of `@libsql/client` that is not for local databases, with a value. */
const serverOptions = {
  authToken: "secret",
  remoteEncryptionKey: "secret",
  syncUrl: "http://localhost",
  syncInterval: 1,
  readYourWrites: true,
  offline: false,
  tls: true,
  fetch: () => undefined,
  concurrency: 5,
};

describe.each(Object.entries(serverOptions))("the option %s", (name, value) => {
  test("is absent when it is undefined, and refused by its name when it has a value", async () => {
    const client = createClient({ url: folder.database(), [name]: undefined });
    expect((await client.execute("select 1 as a")).rows).toEqual([{ a: 1 }]);
    client.close();
    const config = { url: folder.database(), [name]: value } as unknown as LocalClientConfig;
    expect(() => createClient(config)).toThrow(
      expect.objectContaining({ argument: `config.${name}` }) as Error,
    );
  });
});

test("an empty token counts as none", () => {
  createClient({ url: folder.database(), authToken: "" }).close();
});

describe("the journal of an existing file", () => {
  const modeOf = async (client: LocalClient, name = "journal_mode") =>
    (await client.execute(`pragma ${name}`)).rows[0]?.[0];

  test.each(["delete", "truncate", "persist"] as const)("%s is kept, and works", async (mode) => {
    const path = folder.database().slice("file:".length);
    const native = new Database(path, {});
    native.exec(`pragma auto_vacuum = full; pragma journal_mode = ${mode}; create table t (a)`);
    native.close();
    const client = createClient({ url: folder.database(), journalMode: mode });
    const other = createClient(folder.database());
    expect([await modeOf(client), await modeOf(client, "auto_vacuum")]).toEqual([mode, 1]);
    await Promise.all(
      [client, other].flatMap((each) =>
        Array.from({ length: 20 }, async () => {
          await each.execute("insert into t values (1)");
          await each.execute("select count(*) from t");
        }),
      ),
    );
    const transaction = await client.transaction();
    await transaction.execute("insert into t values (2)");
    const reader = await other.transaction("read");
    await reader.execute("select * from t");
    setTimeout(() => reader.close(), 50);
    await transaction.commit();
    expect((await other.execute("select count(*) as n from t")).rows).toEqual([{ n: 41 }]);
    expect([await modeOf(other), await modeOf(other, "auto_vacuum")]).not.toContain("wal");
    client.close();
    other.close();
  });

  test("becomes a write-ahead log on request", async () => {
    const path = folder.database().slice("file:".length);
    const native = new Database(path, {});
    native.exec("create table t (a)");
    native.close();
    const client = createClient({ url: folder.database(), journalMode: "wal" });
    expect(await modeOf(client)).toBe("wal");
    client.close();
  });
});

test("a lock of shared memory that a file system refuses is explained", () => {
  const cause = new LibsqlError("disk I/O error", "SQLITE_IOERR", "SQLITE_IOERR_SHMMAP", 5386);
  expect(hasNoSharedMemory(cause)).toBe(true);
  expect(noWriteAheadLog(cause).message).toContain("journalMode");
  expect(translateError(cause, "read").message).toContain("journalMode");
});
