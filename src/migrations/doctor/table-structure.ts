/** The structure of a table, of the schema or of the database. */
export interface TableStructure {
  readonly columns: readonly ColumnStructure[];
  readonly indexes: readonly IndexStructure[];
  readonly foreignKeys: readonly ForeignKeyStructure[];
  readonly checks: readonly CheckStructure[];
}

export interface ColumnStructure {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** Normalized SQL; null for none. */
  readonly default: string | null;
  /** The collation, in lower case. */
  readonly collation: string;
  /** The position in the primary key, from 1; 0 for other columns. */
  readonly primaryKey: number;
}

export interface IndexStructure {
  readonly name: string;
  /** The columns in order, each with its options after its name. */
  readonly columns: readonly string[];
  readonly unique: boolean;
  /** The condition of a partial index. */
  readonly where: string | null;
}

/** A foreign key. SQLite gives it no name, so its columns identify it. */
export interface ForeignKeyStructure {
  readonly from: readonly string[];
  readonly table: string;
  readonly to: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
}

export interface CheckStructure {
  readonly name: string | null;
  readonly condition: string;
}

/** Describes a foreign key. */
export function describeForeignKey(key: ForeignKeyStructure): string {
  return `foreign key (${key.from.join(", ")}) references ${key.table}(${key.to.join(", ")}) on delete ${key.onDelete} on update ${key.onUpdate}`;
}
