import type { Dependent, LiveColumn, LiveTable } from "./live-structure.ts";
import {
  breaksWrites,
  differencesOf,
  refusesRows,
  renamedColumn,
  type TableDifferences,
} from "./structure-differences.ts";
import { columnDefinition, indexDefinition, quote, tableDefinition } from "./table-definitions.ts";
import type { ColumnStructure, TableStructure } from "./table-structure.ts";

/**
 * The statements that make a table what the schema asks for. Every row stays, and every column, index and trigger
 * of others that does no harm.
 */
export function repairOf(
  table: string,
  expected: TableStructure,
  live: LiveTable | undefined,
  dependents: readonly Dependent[],
): string[] {
  const created = expected.indexes.map((index) => indexDefinition(table, index));
  if (live === undefined) return [tableDefinition(table, expected), ...created];
  const differences = differencesOf(expected, live);
  if (needsRebuild(differences)) {
    // SQLite renames no table while a view or a trigger names what is not there. Its own triggers go with the table.
    const others = dependents.filter((each) => each.table !== table);
    return [
      ...others.map(({ type, name }) => `drop ${type} ${quote(name)}`),
      ...rebuild(table, expected, live, differences),
      ...others.map(({ sql }) => sql),
    ];
  }
  const { columns, indexes } = differences;
  const renamed = renamedColumn(differences);
  return [
    ...(renamed === null
      ? columns.missing.map(
          (column) => `alter table ${quote(table)} add column ${columnDefinition(column)}`,
        )
      : [
          `alter table ${quote(table)} rename column ${quote(renamed.live.name)} to ${quote(renamed.expected.name)}`,
        ]),
    ...[
      ...indexes.extra.filter((index) => refusesRows(index, expected)),
      ...indexes.changed.map((index) => index.live),
    ].map(({ name }) => `drop index ${quote(name)}`),
    ...[...indexes.changed.map((index) => index.expected), ...indexes.missing].map((index) =>
      indexDefinition(table, index),
    ),
  ];
}

/** SQLite alters columns, constraints and keys in no other way. */
function needsRebuild(differences: TableDifferences): boolean {
  const { columns, indexes, foreignKeys, checks } = differences;
  const isRenamed = renamedColumn(differences) !== null;
  return (
    columns.changed.length > 0 ||
    (!isRenamed && (columns.missing.some(cannotBeAdded) || columns.extra.some(breaksWrites))) ||
    indexes.extra.some(({ sql }) => sql === null) ||
    [foreignKeys, checks].some(
      ({ missing, changed, extra }) => missing.length + changed.length + extra.length > 0,
    )
  );
}

function cannotBeAdded({ notNull, default: value, primaryKey }: ColumnStructure): boolean {
  return primaryKey > 0 || (notNull && value === null);
}

function rebuild(
  table: string,
  expected: TableStructure,
  live: LiveTable,
  differences: TableDifferences,
): string[] {
  const renamed = renamedColumn(differences);
  // What a generated column holds is made of the others: it has nothing to keep.
  const kept = differences.columns.extra
    .filter((column) => column !== renamed?.live && !column.isGenerated)
    .map(harmless);
  const source = new Map<string, ColumnStructure>(live.columns.map((each) => [each.name, each]));
  if (renamed !== null) source.set(renamed.expected.name, renamed.live);
  const copied = [...expected.columns, ...kept].flatMap((column) => {
    const from = source.get(column.name);
    return from === undefined ? [] : [{ into: quote(column.name), value: valueOf(column, from) }];
  });
  const [now, later] = [quote(table), `__new_${table}`];
  const indexes = differences.indexes.extra.flatMap((index) =>
    index.sql === null || refusesRows(index, expected) ? [] : [index.sql],
  );
  return [
    tableDefinition(later, { ...expected, columns: [...expected.columns, ...kept] }),
    `insert into ${quote(later)} (${copied.map(({ into }) => into).join(", ")})\n` +
      `  select ${copied.map(({ value }) => value).join(", ")} from ${now}`,
    `drop table ${now}`,
    `alter table ${quote(later)} rename to ${now}`,
    ...expected.indexes.map((index) => indexDefinition(table, index)),
    ...indexes,
    ...live.triggers.map(({ sql }) => sql),
  ];
}

/** A column of others as it may stay: rows can be written without it. */
function harmless(column: LiveColumn): LiveColumn {
  return { ...column, primaryKey: 0, notNull: column.notNull && column.default !== null };
}

function valueOf(column: ColumnStructure, from: ColumnStructure): string {
  const value =
    column.type === from.type ? quote(from.name) : `cast(${quote(from.name)} as ${column.type})`;
  const fallback = column.notNull && !from.notNull ? column.default : null;
  return fallback === null ? value : `coalesce(${value}, ${fallback})`;
}
