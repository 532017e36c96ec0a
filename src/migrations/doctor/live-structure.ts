import type { RunQuery } from "../structure.ts";
import {
  checksOfTable,
  collationsOfTable,
  conflictActionsOf,
  conditionOfIndex,
  normalizeSql,
  type LiveCheck,
} from "./normalized-sql.ts";
import type {
  ColumnStructure,
  ForeignKeyStructure,
  IndexStructure,
  TableStructure,
} from "./table-structure.ts";

/** A table of the database. */
export interface LiveTable extends TableStructure {
  readonly columns: readonly LiveColumn[];
  readonly indexes: readonly LiveIndex[];
  readonly checks: readonly LiveCheck[];
  /** The names of its triggers. */
  readonly triggers: readonly string[];
  /** The actions of its ON CONFLICT clauses, except the default one. */
  readonly conflictActions: readonly string[];
}

export interface LiveColumn extends ColumnStructure {
  readonly isGenerated: boolean;
}

export interface LiveIndex extends IndexStructure {
  /** Null for the index of a UNIQUE in the definition of the table. */
  readonly sql: string | null;
}

/** The existing ones of `tables`, by the given name. SQLite compares names without case. */
export async function readTables(
  query: RunQuery,
  tables: readonly string[],
): Promise<Map<string, LiveTable>> {
  const wanted = [JSON.stringify(tables)];
  const from =
    "from json_each(?) as wanted join sqlite_schema as t on t.type = 'table' and t.name = wanted.value collate nocase";
  // The pragmas get the given name, because D1 rejects them for tables of its own.
  const definitions = await query(`select wanted.value, t.sql ${from}`, wanted);
  const columns = await query(
    `select wanted.value, c.name, c.type, c."notnull", c.dflt_value, c.pk, c.hidden ${from}
     join pragma_table_xinfo(wanted.value) as c`,
    wanted,
  );
  const indexes = await query(
    `select wanted.value, i.origin, i.name, i."unique", s.sql, x.name, x."desc", x.coll ${from}
     join pragma_index_list(wanted.value) as i join pragma_index_xinfo(i.name) as x on x.key = 1
     left join sqlite_schema as s on s.type = 'index' and s.name = i.name
     order by t.name, i.name, x.seqno`,
    wanted,
  );
  // A reference without a column references the primary key.
  const foreignKeys = await query(
    `select wanted.value, f.id, f."from", f."table", f.on_delete, f.on_update,
       coalesce(f."to", (select p.name from pragma_table_info(f."table") as p where p.pk = f.seq + 1))
     ${from} join pragma_foreign_key_list(wanted.value) as f order by t.name, f.id, f.seq`,
    wanted,
  );
  const triggers = await query(
    `select wanted.value, s.name ${from} join sqlite_schema as s on s.type = 'trigger' and s.tbl_name = t.name collate nocase`,
    wanted,
  );
  return new Map(
    definitions.map(([table, sql]) => [
      String(table),
      {
        columns: readColumns(of(columns, table), [
          ...collationsOfTable(String(sql)),
          ...collationsOfKey(of(indexes, table)),
        ]),
        indexes: readIndexes(of(indexes, table)),
        foreignKeys: readForeignKeys(of(foreignKeys, table)),
        checks: checksOfTable(String(sql)),
        triggers: of(triggers, table).map(([name]) => String(name)),
        conflictActions: conflictActionsOf(String(sql)),
      },
    ]),
  );
}

/** The names of tables that begin with one of `beginnings`, except `known`. */
export async function readOtherTables(
  query: RunQuery,
  beginnings: readonly string[],
  known: readonly string[],
): Promise<string[]> {
  const rows = await query(
    `select name from sqlite_schema as t where type = 'table' and name collate nocase not in (select value from json_each(?))
       and exists (select 1 from json_each(?) as b where substr(t.name, 1, length(b.value)) = b.value collate nocase) order by name`,
    [JSON.stringify(known), JSON.stringify(beginnings)],
  );
  return rows.map(([name]) => String(name));
}

type Rows = readonly (readonly unknown[])[];

/** The rows whose first column is the name of the table, without that column. */
function of(rows: Rows, table: unknown): unknown[][] {
  return rows.filter(([name]) => name === table).map(([, ...rest]) => rest);
}

/** The collations other than BINARY by which the primary key compares its columns. */
function collationsOfKey(rows: Rows): (readonly [string, string])[] {
  return rows.flatMap(([origin, , , , column, , collation]) => {
    const collated = String(collation).toLowerCase();
    return origin === "pk" && collated !== "binary"
      ? [[String(column).toLowerCase(), collated] as const]
      : [];
  });
}

function readColumns(
  rows: Rows,
  collationsByName: readonly (readonly [string, string])[],
): LiveColumn[] {
  const collations = new Map(collationsByName);
  return rows.map(([name, type, notNull, value, primaryKey, hidden]) => {
    const written = typeof value === "string" ? normalizeSql(value) : null;
    return {
      name: String(name),
      type: String(type).toLowerCase(),
      notNull: Number(notNull) === 1,
      default: written === "null" ? null : written,
      collation: collations.get(String(name).toLowerCase()) ?? "binary",
      primaryKey: Number(primaryKey),
      isGenerated: Number(hidden) >= 2,
    };
  });
}

function readIndexes(rows: Rows): LiveIndex[] {
  const indexes = new Map<string, LiveIndex & { readonly columns: string[] }>();
  for (const [origin, name, unique, sql, column, descending, collation] of rows) {
    if (origin === "pk") continue;
    const index = indexes.get(String(name)) ?? {
      name: String(name),
      columns: [],
      unique: Number(unique) === 1,
      where: typeof sql === "string" ? conditionOfIndex(sql) : null,
      sql: typeof sql === "string" ? sql : null,
    };
    const collated = String(collation).toLowerCase();
    index.columns.push(
      [
        typeof column === "string" ? column : "(an expression)",
        ...(collated === "binary" ? [] : [`collate ${collated}`]),
        ...(Number(descending) === 1 ? ["desc"] : []),
      ].join(" "),
    );
    indexes.set(String(name), index);
  }
  return [...indexes.values()];
}

function readForeignKeys(rows: Rows): ForeignKeyStructure[] {
  const keys = new Map<unknown, ForeignKeyStructure>();
  for (const [id, from, table, onDelete, onUpdate, to] of rows) {
    const before = keys.get(id);
    keys.set(id, {
      from: [...(before?.from ?? []), String(from)],
      table: String(table),
      to: [...(before?.to ?? []), String(to)],
      onDelete: String(onDelete).toLowerCase(),
      onUpdate: String(onUpdate).toLowerCase(),
    });
  }
  return [...keys.values()];
}
