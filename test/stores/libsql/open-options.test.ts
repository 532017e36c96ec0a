import { describe, expect, test } from "vitest";
import { createWorkflowTables } from "../../../src/schema/tables.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { separateToken, type OpenOptions } from "../../../src/stores/libsql/open-options.ts";
import { temporaryFolder } from "../../support/temporary.ts";

const failureOf = (options: OpenOptions) =>
  LibSQLStore.open(options).then(
    () => null,
    (error: unknown) => error as Error,
  );

const server = "https://server.invalid";
const token = "secret-token";

describe("an option without an effect is refused by name:", () => {
  test.each<[string, OpenOptions, string]>([
    ["a key for a server", { url: server, encryptionKey: token }, "encryptionKey"],
    ["durability of a server", { url: server, durability: "full" }, "durability"],
    ["durability over a WebSocket", { url: "wss://a.invalid", durability: "full" }, "durability"],
    ["the lock of a server", { url: server, busyTimeoutMs: 1 }, "busyTimeoutMs"],
    [
      "durability of a copy",
      { url: "file:a.db", syncUrl: server, durability: "normal" },
      "durability",
    ],
    ["the journal of a server", { url: server, journalMode: "delete" }, "journalMode"],
    ["the journal of memory", { url: ":memory:", journalMode: "wal" }, "journalMode"],
    [
      "the journal of a file that is not changed",
      { url: "file:a.db", readOnly: true, journalMode: "delete" },
      "journalMode",
    ],
    ["a token for a file", { url: "file:a.db", authToken: token }, "authToken"],
    ["a token for memory", { url: ":memory:", authToken: token }, "authToken"],
    ["a server's timeout for a file", { url: "file:a.db", timeoutMs: 1 }, "timeoutMs"],
    [
      "an interval without a primary",
      { url: "file:a.db", syncIntervalSeconds: 1 },
      "syncIntervalSeconds",
    ],
    ["an interval for a server", { url: server, syncIntervalSeconds: 1 }, "syncIntervalSeconds"],
    [
      "migrating tables of the app",
      { url: ":memory:", migrate: true, tables: createWorkflowTables({ prefix: "a_" }) },
      "migrate",
    ],
    ["a timeout that no timer takes", { url: server, timeoutMs: 2 ** 31 }, "timeoutMs"],
    [
      "an interval that no timer takes",
      { url: "file:a.db", syncUrl: server, syncIntervalSeconds: 2 ** 31 },
      "syncIntervalSeconds",
    ],
  ])("%s", async (_, options, name) => {
    const failure = await failureOf(options);
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", argument: `options.${name}` });
    expect(failure?.message).not.toContain(token);
  });
});

test("opens a file with the given journal mode", async () => {
  const folder = await temporaryFolder();
  const store = await LibSQLStore.open({ url: folder.database(), journalMode: "delete" });
  const { rows } = await store.db.$client.execute("pragma journal_mode");
  expect(rows).toEqual([{ journal_mode: "delete" }]);
  await store.close();
  await folder.remove();
});

describe("a token is not sent over a plain connection to another machine:", () => {
  test.each<[OpenOptions, string]>([
    [{ url: "http://db.invalid", authToken: token }, "authToken"],
    [{ url: "ws://db.invalid", authToken: token }, "authToken"],
    [{ url: "libsql://db.invalid:80?tls=0", authToken: token }, "authToken"],
    [{ url: "http://127.0.0.1.db.invalid", authToken: token }, "authToken"],
    [{ url: "http://localhost.db.invalid", authToken: token }, "authToken"],
    [{ url: `http://db.invalid?authToken=${token}` }, "url"],
    [{ url: `libsql://db.invalid:80?tls=0&authToken=${token}` }, "url"],
    [{ url: server, authToken: token, readUrl: "http://replica.invalid" }, "authToken"],
    [{ url: server, readUrl: `http://replica.invalid?authToken=${token}` }, "readUrl"],
    [{ url: "file:a.db", authToken: token, syncUrl: "http://db.invalid" }, "authToken"],
    [{ url: "file:a.db", syncUrl: `http://db.invalid?authToken=${token}` }, "syncUrl"],
  ])("%o", async (options, name) => {
    const failure = await failureOf(options);
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT", argument: `options.${name}` });
    expect(failure?.message).not.toContain(token);
  });

  test.each([
    "http://127.0.0.1:9",
    "http://localhost:9",
    "http://[::1]:9",
    "ws://127.8.8.8:9",
    "http://db.localhost:9",
  ])("but to %s it is", async (url) => {
    expect(await failureOf({ url, authToken: token })).toMatchObject({ code: "STORE_CONNECTION" });
  });
});

test.each([
  ["libsql://a.b?authToken=x%2By", undefined, { url: "libsql://a.b", authToken: "x+y" }],
  ["libsql://a.b?tls=1&authToken=x", "y", { url: "libsql://a.b?tls=1", authToken: "x" }],
  ["https://a.b/path", "y", { url: "https://a.b/path", authToken: "y" }],
  ["https://a.b", undefined, { url: "https://a.b" }],
])("the token in %s belongs to that URL alone", (url, given, expected) => {
  expect(separateToken(url, given)).toEqual(expected);
});
