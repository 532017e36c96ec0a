import type {
  CheckStructure,
  ColumnStructure,
  IndexStructure,
  TableStructure,
} from "./table-structure.ts";
import { describeForeignKey } from "./table-structure.ts";

/** The SQL that makes a table with the structure, without its indexes. */
export function tableDefinition(
  name: string,
  { columns, foreignKeys, checks }: Omit<TableStructure, "indexes">,
): string {
  const key = columns
    .filter(({ primaryKey }) => primaryKey > 0)
    .toSorted((a, b) => a.primaryKey - b.primaryKey);
  const parts = [
    ...columns.map(columnDefinition),
    `primary key (${key.map((column) => quote(column.name)).join(", ")})`,
    ...foreignKeys.map(describeForeignKey),
    ...checks.map(checkDefinition),
  ];
  return `create table ${quote(name)} (\n  ${parts.join(",\n  ")}\n)`;
}

export function columnDefinition({
  name,
  type,
  notNull,
  default: value,
  collation,
}: ColumnStructure): string {
  // SQLite adds no column with a default in parentheses, and takes expressions in nothing else.
  const isLiteral = value !== null && /^(?:'(?:[^']|'')*'|[-+]? ?[\d.]+)$/.test(value);
  return [
    quote(name),
    type,
    ...(value === null ? [] : [`default ${isLiteral ? value : `(${value})`}`]),
    ...(notNull ? ["not null"] : []),
    ...(collation === "binary" ? [] : [`collate ${collation}`]),
  ].join(" ");
}

export function indexDefinition(
  table: string,
  { name, columns, unique, where }: IndexStructure,
): string {
  const condition = where === null ? "" : ` where ${where}`;
  return `create ${unique ? "unique " : ""}index ${quote(name)} on ${quote(table)} (${columns.map(quote).join(", ")})${condition}`;
}

function checkDefinition({ name, condition }: CheckStructure): string {
  return `${name === null ? "" : `constraint ${quote(name)} `}check (${condition})`;
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
