import { getTableColumns, getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { SchemaOutOfDateError } from "../errors.ts";
import { workflowRuns } from "../schema/tables.ts";

/** Runs one query and returns its rows as arrays. */
export type RunQuery = (
  sql: string,
  args: readonly (string | number | null)[],
) => Promise<readonly (readonly unknown[])[]>;

/**
 * Passes if every table and column exists. Additional ones do no harm.
 *
 * @throws {SchemaOutOfDateError} that names what is missing and says what to run.
 */
export async function assertStructure(
  query: RunQuery,
  tables: Readonly<Record<string, SQLiteTable | object>>,
): Promise<void> {
  const expected = Object.values(tables).filter(isTable);
  const rows = await query(
    "select wanted.value, found.name, found.hidden from json_each(?) as wanted join pragma_table_xinfo(wanted.value) as found",
    [JSON.stringify(expected.map(getTableName))],
  );
  // SQLite compares names without case. A generated column cannot be written.
  const present = new Set(
    rows.flatMap(([table, column, hidden]) =>
      Number(hidden) < 2 ? [`${String(table)}.${String(column).toLowerCase()}`] : [],
    ),
  );
  const presentTables = new Set(rows.map(([table]) => table));
  const missing = expected.flatMap((table) => {
    const name = getTableName(table);
    if (!presentTables.has(name)) return [name];
    return Object.values(getTableColumns(table))
      .filter((column) => !present.has(`${name}.${column.name.toLowerCase()}`))
      .map((column) => `${name}.${column.name}`);
  });
  if (missing.length === 0) return;
  const isPlain = expected.some((table) => getTableName(table) === getTableName(workflowRuns));
  throw new SchemaOutOfDateError(
    `the database lacks ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? ", …" : ""}: ${
      isPlain
        ? "run `gorkflow migrate`, apply the migrations that this package ships, or generate your own"
        : "generate their migration with your own drizzle-kit, and apply it (`gorkflow migrate` creates only tables " +
          "without a prefix)"
    }`,
  );
}

function isTable(value: object): value is SQLiteTable {
  return is(value, SQLiteTable);
}
