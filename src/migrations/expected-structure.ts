import { is, SQL } from "drizzle-orm";
import { getTableConfig, SQLiteSyncDialect, SQLiteTable } from "drizzle-orm/sqlite-core";

/** What a table has to be like, or is like: the same shape for both, so that they can be compared. */
export interface TableStructure {
  readonly columns: ReadonlyMap<string, ColumnStructure>;
  readonly indexes: ReadonlyMap<string, IndexStructure>;
  /** By what they say: SQLite gives foreign keys no names. */
  readonly foreignKeys: ReadonlySet<string>;
  readonly checks: ReadonlySet<string>;
}

export interface ColumnStructure {
  readonly type: string;
  readonly notNull: boolean;
  /** As SQLite shows it; null for none. */
  readonly default: string | null;
  /** 1 for the first column of the primary key, 0 for a column outside of it. */
  readonly primaryKey: number;
}

export interface IndexStructure {
  readonly columns: readonly string[];
  readonly unique: boolean;
  readonly where: string | null;
}

export type ForeignKeyParts = Readonly<
  Record<"table" | "from" | "to" | "onDelete" | "onUpdate", string>
>;

/** A foreign key in words. */
export function describeForeignKey({
  table,
  from,
  to,
  onDelete,
  onUpdate,
}: ForeignKeyParts): string {
  return `(${from}) references ${table}(${to}) on delete ${onDelete} on update ${onUpdate}`.toLowerCase();
}

/** SQL without what makes no difference: quotes, blanks, upper case, and parentheses around it. */
export function normalizeSql(sql: string): string {
  const plain = sql
    .replace(/["`[\]]/g, "")
    .replace(/\s+/g, "")
    .toLowerCase();
  return /^\((.*)\)$/.exec(plain)?.[1] ?? plain;
}

/** The structure that a Drizzle table asks for. */
export function structureOf(table: SQLiteTable): TableStructure {
  const { columns, indexes, foreignKeys, checks, primaryKeys } = getTableConfig(table);
  const composite = primaryKeys[0]?.columns.map(({ name }) => name) ?? [];
  return {
    columns: new Map(
      columns.map((column) => [
        column.name,
        {
          type: column.getSQLType().toLowerCase(),
          notNull: column.notNull,
          default: column.default === undefined ? null : literal(column.default),
          primaryKey: column.primary ? 1 : composite.indexOf(column.name) + 1,
        },
      ]),
    ),
    indexes: new Map(
      indexes.map(({ config }) => [
        config.name,
        {
          columns: config.columns.map((column) => (is(column, SQL) ? render(column) : column.name)),
          unique: config.unique,
          where: config.where === undefined ? null : normalizeSql(render(config.where)),
        },
      ]),
    ),
    foreignKeys: new Set(
      foreignKeys.map((foreignKey) => {
        const reference = foreignKey.reference();
        return describeForeignKey({
          table: getTableConfig(reference.foreignTable).name,
          from: reference.columns.map(({ name }) => name).join(", "),
          to: reference.foreignColumns.map(({ name }) => name).join(", "),
          onDelete: foreignKey.onDelete ?? "no action",
          onUpdate: foreignKey.onUpdate ?? "no action",
        });
      }),
    ),
    checks: new Set(checks.map(({ value }) => normalizeSql(render(value)))),
  };
}

const dialect = new SQLiteSyncDialect();

function render(sql: SQL): string {
  return dialect.sqlToQuery(sql.inlineParams()).sql;
}

function literal(value: unknown): string {
  if (is(value, SQL)) return normalizeSql(render(value));
  return typeof value === "string" ? `'${value.replaceAll("'", "''")}'` : String(value);
}
