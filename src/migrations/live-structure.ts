import {
  describeForeignKey,
  normalizeSql,
  type ColumnStructure,
  type IndexStructure,
  type TableStructure,
} from "./expected-structure.ts";
import type { RunQuery } from "./structure.ts";

/** The structure of the tables that the database has, by name. */
export async function readStructures(
  query: RunQuery,
  tables: readonly string[],
): Promise<Map<string, TableStructure>> {
  const wanted = [JSON.stringify(tables)];
  const from =
    "from json_each(?) as wanted join sqlite_schema as t on t.type = 'table' and t.name = wanted.value";
  const definitions = await query(`select t.name, t.sql ${from}`, wanted);
  const columns = await query(
    `select t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk ${from} join pragma_table_xinfo(t.name) as c`,
    wanted,
  );
  const indexes = await query(
    `select t.name, i.name, i."unique", s.sql, x.name ${from} join pragma_index_list(t.name) as i
     join pragma_index_info(i.name) as x left join sqlite_schema as s on s.type = 'index' and s.name = i.name
     where i.origin = 'c' order by t.name, i.name, x.seqno`,
    wanted,
  );
  const foreignKeys = await query(
    `select t.name, f."table", f."from", f."to", f.on_delete, f.on_update ${from}
     join pragma_foreign_key_list(t.name) as f`,
    wanted,
  );
  return new Map(
    definitions.map(([name, sql]) => [
      String(name),
      {
        columns: new Map(of(columns, name).map(readColumn)),
        indexes: readIndexes(of(indexes, name)),
        foreignKeys: new Set(
          of(foreignKeys, name).map(([table, column, to, onDelete, onUpdate]) =>
            describeForeignKey({
              table: String(table),
              from: String(column),
              to: String(to),
              onDelete: String(onDelete),
              onUpdate: String(onUpdate),
            }),
          ),
        ),
        checks: new Set(checksOf(String(sql))),
      },
    ]),
  );
}

type Rows = readonly (readonly unknown[])[];

/** The rows that begin with the table's name, without it. */
function of(rows: Rows, table: unknown): unknown[][] {
  return rows.filter(([name]) => name === table).map(([, ...rest]) => rest);
}

function readColumn([name, type, notNull, defaultValue, primaryKey]: readonly unknown[]): [
  string,
  ColumnStructure,
] {
  return [
    String(name),
    {
      type: String(type).toLowerCase(),
      notNull: notNull === 1,
      default: typeof defaultValue === "string" ? defaultValue : null,
      primaryKey: Number(primaryKey),
    },
  ];
}

function readIndexes(rows: Rows): Map<string, IndexStructure> {
  const indexes = new Map<string, { columns: string[]; unique: boolean; where: string | null }>();
  for (const [name, unique, sql, column] of rows) {
    const index = indexes.get(String(name)) ?? {
      columns: [],
      unique: unique === 1,
      where: whereOf(String(sql)),
    };
    // An expression has no column's name.
    index.columns.push(typeof column === "string" ? column : "");
    indexes.set(String(name), index);
  }
  return indexes;
}

function whereOf(sql: string): string | null {
  const [, where] = /\)\s*where\s+([^]*?);?\s*$/i.exec(sql) ?? [];
  return where === undefined ? null : normalizeSql(where);
}

/** The conditions of the CHECK constraints in a table's definition, each without its parentheses. */
function checksOf(sql: string): string[] {
  return [...sql.matchAll(/\bcheck\s*\(/gi)].map(({ index, 0: keyword }) => {
    const start = index + keyword.length;
    let depth = 1;
    let end = start;
    for (; end < sql.length && depth > 0; end++) {
      if (sql[end] === "(") depth += 1;
      if (sql[end] === ")") depth -= 1;
    }
    return normalizeSql(sql.slice(start, end - 1));
  });
}
