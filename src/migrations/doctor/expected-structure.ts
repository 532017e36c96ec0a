import { is, SQL } from "drizzle-orm";
import { getTableConfig, type SQLiteTable } from "drizzle-orm/sqlite-core";
import { DialectClass } from "../../drizzle.ts";
import { normalizeSql } from "./normalized-sql.ts";
import type { TableStructure } from "./table-structure.ts";

/** The structure of a Drizzle table. */
export function structureOf(table: SQLiteTable): TableStructure {
  const { columns, indexes, foreignKeys, checks, primaryKeys } = getTableConfig(table);
  const composite = primaryKeys[0]?.columns.map(({ name }) => name) ?? [];
  return {
    columns: columns.map((column) => ({
      name: column.name,
      type: column.getSQLType().toLowerCase(),
      notNull: column.notNull,
      collation: "binary",
      default: column.default === undefined ? null : literal(column.default),
      primaryKey: column.primary ? 1 : composite.indexOf(column.name) + 1,
    })),
    indexes: indexes.map(({ config }) => ({
      name: config.name,
      columns: config.columns.map((column) => (is(column, SQL) ? render(column) : column.name)),
      unique: config.unique,
      where: config.where === undefined ? null : normalizeSql(render(config.where)),
    })),
    foreignKeys: foreignKeys.map((foreignKey) => {
      const reference = foreignKey.reference();
      return {
        from: reference.columns.map(({ name }) => name),
        table: getTableConfig(reference.foreignTable).name,
        to: reference.foreignColumns.map(({ name }) => name),
        onDelete: foreignKey.onDelete ?? "no action",
        onUpdate: foreignKey.onUpdate ?? "no action",
      };
    }),
    checks: checks.map(({ name, value }) => ({ name, condition: normalizeSql(render(value)) })),
  };
}

const dialect = new DialectClass();

function render(sql: SQL): string {
  return dialect.sqlToQuery(sql.inlineParams()).sql;
}

function literal(value: unknown): string {
  if (is(value, SQL)) return normalizeSql(render(value));
  return normalizeSql(
    typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value),
  );
}
