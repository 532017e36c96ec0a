import { expect, test } from "vitest";
import { writtenChunksOf } from "../../src/migrations/sql-statements.ts";
import { statementsOf } from "../../src/sql-tokens.ts";

test.each([
  ["", 0],
  [" ;; ", 0],
  ["-- only a comment; really", 0],
  ["/* a; b */", 0],
  ["/* not closed; at all", 0],
  ["select 1", 1],
  ["select 1;", 1],
  ["select 1; select 2", 2],
  ["select ';' as a", 1],
  ["select 'it''s; fine'", 1],
  ['select 1 as "a;b"', 1],
  ["select 1 as `a;b`", 1],
  ["select 1 as [a;b]", 1],
  ["select 1 -- one; two\n, 2", 1],
  ["create trigger t after insert on a begin update b set c = 1; delete from d; end", 1],
  ["create temp trigger t after insert on a begin select 1; end; select 2", 2],
])("%j is %i statement(s)", (sql, count) => {
  expect(statementsOf(sql)).toHaveLength(count);
});

test("a statement ends with its last token", () => {
  expect(statementsOf("select 1 -- one\n; select 2 /* not closed")).toEqual([
    "select 1",
    " select 2",
  ]);
});

test("a migration's statements are what stands between its breakpoints", () => {
  expect(
    writtenChunksOf(
      "create table a (b);\n--> statement-breakpoint\n-- nothing\n--> statement-breakpoint\nselect 1",
    ),
  ).toEqual(["create table a (b);", "select 1"]);
});
