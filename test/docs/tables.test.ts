import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { getTableName } from "drizzle-orm";
import { getTableConfig, type SQLiteColumn } from "drizzle-orm/sqlite-core";
import { expect, test } from "vitest";
import { tables as workflowTables } from "../../src/schema/tables.ts";
import { root } from "./support/code-blocks.ts";

/** The type of a column as the page has it. */
function typeOf({ columnType, notNull }: SQLiteColumn): string {
  const names: Record<string, string> = {
    SQLiteText: "text",
    SQLiteInteger: "integer",
    SQLiteReal: "real",
    SQLiteTimestamp: "time",
    SQLiteCustomColumn: "JSON",
  };
  return `${names[columnType]}${notNull ? "" : " or null"}`;
}

test("the page of the tables has every column of each, with its type", async () => {
  const page = await readFile(join(root, "docs/tables.md"), "utf8");
  const documented = page
    .split(/^## /m)
    .slice(1)
    .map((section) => [
      /^`(\w+)`/.exec(section)?.[1],
      [...section.matchAll(/^\| `(\w+)` +\| ([^|]+?) +\|/gm)].map(([, name, type]) => [name, type]),
    ]);
  const tables = Object.values(workflowTables);
  const existing = tables.map((table) => [
    getTableName(table),
    getTableConfig(table).columns.map((column) => [column.name, typeOf(column)]),
  ]);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(existing));
});
