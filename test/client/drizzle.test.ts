import { eq, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const authors = sqliteTable("authors", {
  id: integer("id").primaryKey(),
  name: text("name").notNull().unique(),
  born: integer("born", { mode: "timestamp_ms" }),
  active: integer("active", { mode: "boolean" }).notNull().default(true),
  extra: text("extra", { mode: "json" }).$type<{ tags: string[] }>(),
});
const books = sqliteTable(
  "books",
  {
    id: integer("id").primaryKey(),
    authorId: integer("author_id")
      .notNull()
      .references(() => authors.id, { onDelete: "cascade" }),
    title: text("title").notNull(),
  },
  (table) => [index("books_author_idx").on(table.authorId)],
);
const authorsRelations = relations(authors, ({ many }) => ({ books: many(books) }));
const booksRelations = relations(books, ({ one }) => ({
  author: one(authors, { fields: [books.authorId], references: [authors.id] }),
}));
const schema = { authors, books, authorsRelations, booksRelations };

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

describe.each(["file", "memory"])("Drizzle on a client of a %s database", (kind) => {
  const connect = (client: LocalClient) => drizzle({ client, schema });
  let client: LocalClient;
  let db: ReturnType<typeof connect>;
  beforeEach(async () => {
    client = createClient(kind === "file" ? folder.database() : ":memory:");
    db = connect(client);
    await client.executeMultiple(`
      create table authors (id integer primary key, name text not null unique, born integer,
        active integer not null default 1, extra text);
      create table books (id integer primary key, title text not null,
        author_id integer not null references authors (id) on delete cascade);
    `);
    await db.insert(authors).values([
      { id: 1, name: "Ada", born: new Date(1_000), extra: { tags: ["a"] } },
      { id: 2, name: "Bob", active: false },
    ]);
    await db.insert(books).values([
      { id: 1, authorId: 1, title: "First" },
      { id: 2, authorId: 1, title: "Second" },
    ]);
  });
  afterEach(() => client.close());

  test("selects, with columns that Drizzle maps", async () => {
    expect(await db.select().from(authors).orderBy(authors.id)).toEqual([
      { id: 1, name: "Ada", born: new Date(1_000), active: true, extra: { tags: ["a"] } },
      { id: 2, name: "Bob", born: null, active: false, extra: null },
    ]);
    expect(
      await db
        .select({ n: sql<number>`count(*)` })
        .from(books)
        .get(),
    ).toEqual({ n: 2 });
    expect(await db.all(sql`select name from authors order by id`)).toEqual([
      { name: "Ada" },
      { name: "Bob" },
    ]);
    expect(await db.get(sql`select 1 as a`)).toEqual({ a: 1 });
    const values = await db.values<[number, string]>(sql`select id, name from authors order by id`);
    expect(values.map((row) => [row[0], row[1]])).toEqual([
      [1, "Ada"],
      [2, "Bob"],
    ]);
  });

  test("joins, subqueries and common table expressions", async () => {
    const joined = await db
      .select()
      .from(authors)
      .leftJoin(books, eq(books.authorId, authors.id))
      .orderBy(authors.id, books.id);
    expect(joined.map((row) => [row.authors.name, row.books?.title ?? null])).toEqual([
      ["Ada", "First"],
      ["Ada", "Second"],
      ["Bob", null],
    ]);
    const counted = db.$with("counted").as(
      db
        .select({ id: books.authorId, n: sql<number>`count(*)`.as("n") })
        .from(books)
        .groupBy(books.authorId),
    );
    expect(await db.with(counted).select().from(counted)).toEqual([{ id: 1, n: 2 }]);
    const old = db.$with("old").as(db.select({ id: books.id }).from(books).where(eq(books.id, 1)));
    await db
      .with(old)
      .delete(books)
      .where(sql`${books.id} in (select id from ${old})`);
    expect(await db.$count(books)).toBe(1);
  });

  test("relational queries", async () => {
    const found = await db.query.authors.findMany({
      with: { books: { columns: { title: true }, orderBy: books.id } },
      orderBy: authors.id,
    });
    expect(found.map((author) => [author.name, author.books])).toEqual([
      ["Ada", [{ title: "First" }, { title: "Second" }]],
      ["Bob", []],
    ]);
    const book = await db.query.books.findFirst({ with: { author: true } });
    expect(book?.author).toMatchObject({ name: "Ada", born: new Date(1_000) });
  });

  test("inserts, updates, upserts and deletes, with what they return", async () => {
    expect(await db.insert(authors).values({ name: "Cid" }).returning()).toMatchObject([
      { id: 3, name: "Cid", active: true },
    ]);
    const upsert = db
      .insert(authors)
      .values({ id: 1, name: "Ada" })
      .onConflictDoUpdate({ target: authors.id, set: { name: "Ada L." } });
    expect((await upsert).rowsAffected).toBe(1);
    const ignored = await db.insert(authors).values({ id: 1, name: "x" }).onConflictDoNothing();
    expect(ignored.rowsAffected).toBe(0);
    const updated = await db.update(authors).set({ active: true }).returning({ id: authors.id });
    expect(updated).toHaveLength(3);
    expect((await db.delete(authors).where(eq(authors.id, 1))).rowsAffected).toBe(1);
    expect(await db.$count(books)).toBe(0);
  });

  test("prepared statements", async () => {
    const byId = db
      .select()
      .from(authors)
      .where(eq(authors.id, sql.placeholder("id")))
      .prepare();
    expect(await byId.get({ id: 2 })).toMatchObject({ name: "Bob" });
    expect(await byId.all({ id: 9 })).toEqual([]);
  });

  test("batches are all or nothing", async () => {
    const [inserted, found] = await db.batch([
      db.insert(authors).values({ name: "Cid" }).returning({ id: authors.id }),
      db.query.authors.findMany({ columns: { name: true } }),
    ]);
    expect(inserted).toEqual([{ id: 3 }]);
    expect(found).toHaveLength(3);
    await expect(
      db.batch([
        db.insert(authors).values({ name: "Dan" }),
        db.insert(authors).values({ name: "Ada" }),
      ]),
    ).rejects.toThrow();
    expect(await db.$count(authors)).toBe(3);
  });

  test("transactions commit, roll back, and nest", async () => {
    await db.transaction(async (tx) => {
      await tx.insert(authors).values({ name: "Cid" });
      await tx
        .transaction(async (nested) => {
          await nested.insert(authors).values({ name: "undone" });
          nested.rollback();
        })
        .catch(() => undefined);
      await tx.transaction((nested) => nested.insert(authors).values({ name: "kept" }));
    });
    await expect(
      db.transaction(async (tx) => {
        await tx.insert(authors).values({ name: "gone" });
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    const names = await db.select({ name: authors.name }).from(authors).orderBy(authors.id);
    expect(names.map(({ name }) => name)).toEqual(["Ada", "Bob", "Cid", "kept"]);
  });

  test("twenty transactions at once all commit", async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        db.transaction(async (tx) => {
          const total = await tx.$count(authors);
          await tx.insert(authors).values({ id: 100 + total, name: `author ${n}` });
        }),
      ),
    );
    expect(await db.$count(authors)).toBe(22);
  });
});
