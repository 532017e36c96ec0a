/** What a table has to be like, or is like: the same shape for both, so that they can be compared. */
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
  /** SQL that can be compared; null for none. */
  readonly default: string | null;
  /** How its values are compared; in lower case. */
  readonly collation: string;
  /** 1 for the first column of the primary key, 0 for a column outside of it. */
  readonly primaryKey: number;
}

export interface IndexStructure {
  readonly name: string;
  /** In order; what differs from a plain column is behind its name. */
  readonly columns: readonly string[];
  readonly unique: boolean;
  /** The condition of a partial index. */
  readonly where: string | null;
}

/** SQLite gives foreign keys no names: they are told by their columns. */
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

/** A foreign key in words. */
export function describeForeignKey(key: ForeignKeyStructure): string {
  return `foreign key (${key.from.join(", ")}) references ${key.table}(${key.to.join(", ")}) on delete ${key.onDelete} on update ${key.onUpdate}`;
}
