import type {
  CheckStructure,
  ColumnStructure,
  ForeignKeyStructure,
  IndexStructure,
  TableStructure,
} from "./table-structure.ts";

/** The SQL that creates a table with this structure, without its indexes. */
export function tableDefinition(
  name: string,
  { columns, foreignKeys, checks }: Omit<TableStructure, "indexes">,
): string {
  const key = columns
    .filter(({ primaryKey }) => primaryKey > 0)
    .toSorted((a, b) => a.primaryKey - b.primaryKey);
  const parts = [
    ...columns.map(columnDefinition),
    `primary key (${quoteAll(key.map((column) => column.name))})`,
    ...foreignKeys.map(foreignKeyDefinition),
    ...checks.map(checkDefinition),
  ];
  return `create table ${quote(name)} (${parts.join(", ")})`;
}

function columnDefinition({
  name,
  type,
  notNull,
  default: value,
  collation,
}: ColumnStructure): string {
  return [
    quote(name),
    type,
    ...(value === null ? [] : [`default (${value})`]),
    ...(notNull ? ["not null"] : []),
    ...(collation === "binary" ? [] : [`collate ${collation}`]),
  ].join(" ");
}

export function indexDefinition(
  table: string,
  { name, columns, unique, where }: IndexStructure,
): string {
  const condition = where === null ? "" : ` where ${where}`;
  return `create ${unique ? "unique " : ""}index ${quote(name)} on ${quote(table)} (${quoteAll(columns)})${condition}`;
}

function foreignKeyDefinition(key: ForeignKeyStructure): string {
  return (
    `foreign key (${quoteAll(key.from)}) references ${quote(key.table)} (${quoteAll(key.to)}) ` +
    `on delete ${key.onDelete} on update ${key.onUpdate}`
  );
}

function quoteAll(names: readonly string[]): string {
  return names.map(quote).join(", ");
}

function checkDefinition({ name, condition }: CheckStructure): string {
  return `${name === null ? "" : `constraint ${quote(name)} `}check (${condition})`;
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
