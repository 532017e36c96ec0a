import { chmod, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { compileProgram, startProgram } from "../support/child-processes.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

let folder: TemporaryFolder;
let client: LocalClient;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = folder.database().slice("file:".length);
  client = createClient(folder.database());
  await client.executeMultiple("create table entries (id integer primary key, text text)");
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

const insert = (id: number, text = "") => ({
  sql: "insert into entries (id, text) values (?, ?)",
  args: [id, text],
});
const ids = async () =>
  (await client.execute("select id from entries order by id")).rows.map(({ id }) => id);

test("a full disk fails the writes that do not fit, and the later ones go on", async () => {
  const { rows } = await client.execute("pragma page_count");
  // The limit is SQLite's own: it answers as it does when the disk has no room.
  await client.execute(`pragma max_page_count = ${Number(rows[0]?.[0]) + 20}`);
  const large = "x".repeat(200_000);
  const results = await Promise.allSettled([
    client.execute(insert(1)),
    client.execute(insert(2, large)),
    client.batch([insert(3), insert(4, large)], "write"),
    client.execute(insert(5)),
  ]);
  expect(results).toMatchObject([
    { status: "fulfilled" },
    { status: "rejected", reason: { code: "SQLITE_FULL" } },
    { status: "rejected", reason: { code: "SQLITE_FULL" } },
    { status: "fulfilled" },
  ]);
  expect(await ids()).toEqual([1, 5]);
});

test("a file that was deleted takes no more writes, which nobody would find again", async () => {
  await client.execute(insert(1));
  expect(await ids()).toEqual([1]);
  await rm(path);
  await expect(client.execute(insert(2))).rejects.toMatchObject({
    code: "SQLITE_READONLY",
    extendedCode: "SQLITE_READONLY_DBMOVED",
  });
  await expect(client.transaction()).rejects.toMatchObject({ code: "SQLITE_READONLY" });
  expect(await ids()).toEqual([1]);
});

test("a file that was deleted before anything was read is not made anew", async () => {
  await rm(path);
  await expect(ids()).rejects.toMatchObject({ extendedCode: "SQLITE_READONLY_DBMOVED" });
  await expect(client.transaction("read")).rejects.toMatchObject({ code: "SQLITE_READONLY" });
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a file that was moved away takes writes again when it is back", async () => {
  await rename(path, `${path}.moved`);
  await writeFile(path, "");
  await expect(client.execute(insert(1))).rejects.toMatchObject({ code: "SQLITE_READONLY" });
  await rename(`${path}.moved`, path);
  await client.execute(insert(2));
  expect(await ids()).toEqual([2]);
});

test("a corrupt page fails the reads that meet it, and the others go on", async () => {
  for (let n = 1; n <= 200; n++) void client.execute(insert(n, "x".repeat(3000)));
  await client.execute("create table others (id integer primary key)");
  client.close();
  const { size } = await stat(path);
  const file = await open(path, "r+");
  const pageBytes = 4096;
  // All pages but the first, which holds the schema, and the last, on which the second table begins.
  for (let at = pageBytes * 4; at < size - pageBytes; at += pageBytes) {
    await file.write(Buffer.alloc(100, 0xff), 0, 100, at);
  }
  await file.close();
  client = createClient(folder.database());
  await expect(client.execute("select sum(length(text)) from entries")).rejects.toMatchObject({
    code: "SQLITE_CORRUPT",
  });
  expect((await client.execute("select 1 as a")).rows).toEqual([{ a: 1 }]);
});

test("a file that is no database is refused, and left as it is", async () => {
  const other = `${folder.path}/notes.txt`;
  await writeFile(other, "these are my notes, and no database at all\n".repeat(100));
  const before = await readFile(other);
  expect(() => createClient(`file:${other}`)).toThrow(
    expect.objectContaining({ code: "SQLITE_NOTADB" }) as Error,
  );
  expect(await readFile(other)).toEqual(before);
});

test("a folder in the place of the file is refused", () => {
  expect(() => createClient(`file:${folder.path}`)).toThrow(
    expect.objectContaining({ code: "SQLITE_CANTOPEN" }) as Error,
  );
});

test("a file that may not be written is read, and says so to who writes", async () => {
  await client.execute(insert(1));
  client.close();
  await chmod(path, 0o444);
  await chmod(folder.path, 0o777);
  const program = await compileProgram(`${import.meta.dirname}/programs/read-only.ts`);
  // The superuser may write everything; nobody may not.
  const options = process.getuid?.() === 0 ? { uid: 65_534 } : {};
  const reader = startProgram<Record<string, unknown>>(program, [folder.database()], options);
  const said = await reader.message(() => true);
  expect(said).toEqual({
    read: { value: 1 },
    write: { code: "SQLITE_READONLY" },
    again: { value: 1 },
  });
  await reader.ended;
});
