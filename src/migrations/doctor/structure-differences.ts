import type { LiveColumn, LiveIndex, LiveTable } from "./live-structure.ts";
import type { LiveCheck } from "./normalized-sql.ts";
import {
  describeForeignKey,
  type CheckStructure,
  type ColumnStructure,
  type ForeignKeyStructure,
  type IndexStructure,
  type TableStructure,
} from "./table-structure.ts";

export interface Changed<Expected, Live = Expected> {
  readonly expected: Expected;
  readonly live: Live;
}

interface Differences<Expected, Live = Expected> {
  readonly missing: readonly Expected[];
  readonly changed: readonly Changed<Expected, Live>[];
  readonly extra: readonly Live[];
}

/** The differences between a table of the database and that of the schema. */
export interface TableDifferences {
  readonly columns: Differences<ColumnStructure, LiveColumn>;
  readonly indexes: Differences<IndexStructure, LiveIndex>;
  readonly foreignKeys: Differences<ForeignKeyStructure>;
  readonly checks: Differences<CheckStructure, LiveCheck>;
}

/** SQLite compares names without case. */
export function isSameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

export function differencesOf(expected: TableStructure, live: LiveTable): TableDifferences {
  return {
    columns: compareParts(expected.columns, live.columns, {
      name: ({ name }) => name,
      same: (a, b) => isSameName(a.name, b.name) && changesOf(a, b).length === 0,
    }),
    indexes: compareParts(expected.indexes, live.indexes, {
      name: ({ name }) => name,
      same: (a, b) =>
        isSameName(a.name, b.name) &&
        a.unique === b.unique &&
        a.where === b.where &&
        isSameName(a.columns.join(), b.columns.join()),
    }),
    foreignKeys: compareParts(expected.foreignKeys, live.foreignKeys, {
      name: ({ from }) => from.join(),
      same: (a, b) => isSameName(describeForeignKey(a), describeForeignKey(b)),
    }),
    // The name of a check does not matter.
    checks: compareParts(expected.checks, live.checks, {
      name: ({ name, condition }) => name ?? condition,
      same: (a, b) => a.condition === b.condition,
    }),
  };
}

/** Describes what differs in a column. */
export function changesOf(expected: ColumnStructure, live: LiveColumn): string[] {
  return [
    ...(live.isGenerated ? ["kind (it is generated, and cannot be written)"] : []),
    ...(expected.type === live.type ? [] : [`type (${live.type}, not ${expected.type})`]),
    ...(expected.notNull === live.notNull
      ? []
      : [live.notNull ? "nullability (it is NOT NULL)" : "nullability (it may be NULL)"]),
    ...(expected.default === live.default
      ? []
      : [`default (${live.default ?? "none"}, not ${expected.default ?? "none"})`]),
    ...(expected.collation === live.collation
      ? []
      : [`collation (${live.collation}, not ${expected.collation})`]),
    ...(expected.primaryKey === live.primaryKey ? [] : ["place in the primary key"]),
  ];
}

/** True if a row cannot be inserted without this column, which stores do not write. */
export function breaksWrites({ notNull, default: value, isGenerated }: LiveColumn): boolean {
  return notNull && value === null && !isGenerated;
}

/** The columns of the app that are NULL in every row of the stores, in lower case. */
export function emptyColumns({ columns: { extra } }: TableDifferences): ReadonlySet<string> {
  const empty = extra.filter((each) => !each.isGenerated && !each.notNull && each.default === null);
  return new Set(empty.map(({ name }) => name.toLowerCase()));
}

/** True if an index rejects rows that the schema allows. Rows with NULL in one of its columns are always distinct. */
export function refusesRows(
  { unique, columns }: IndexStructure,
  expected: TableStructure,
  empty: ReadonlySet<string>,
): boolean {
  const names = new Set(columns.map((column) => column.replace(/ desc$/, "").toLowerCase()));
  const hasAll = (some: readonly string[]) => some.every((name) => names.has(name.toLowerCase()));
  const key = expected.columns.filter(({ primaryKey }) => primaryKey > 0).map(({ name }) => name);
  if (!unique || hasAll(key) || [...names].some((name) => empty.has(name))) return false;
  return !expected.indexes.some(
    (each) =>
      each.unique &&
      hasAll(each.columns) &&
      (each.where === null || each.columns.some((name) => each.where === `${name} is not null`)),
  );
}

/**
 * A renamed column: one missing and one extra column that differ only in their names, and without which no row can be
 * written. Other renames cannot be detected.
 */
export function renamedColumn({
  columns: { missing, extra },
}: TableDifferences): Changed<ColumnStructure, LiveColumn> | null {
  const [expected, another] = missing;
  const [live, oneMore] = extra;
  if (expected === undefined || live === undefined) return null;
  if (another !== undefined || oneMore !== undefined || !breaksWrites(live)) return null;
  return changesOf(expected, live).length === 0 ? { expected, live } : null;
}

/** Pairs parts that are equal. Unpaired parts with the same name are changed. */
function compareParts<Expected, Live extends Expected>(
  expected: readonly Expected[],
  live: readonly Live[],
  { name, same }: { name: (part: Expected) => string; same: (a: Expected, b: Live) => boolean },
): Differences<Expected, Live> {
  const extra = [...live];
  /** Removes and returns the first remaining part that matches. */
  const take = (fits: (part: Live) => boolean): Live | undefined => {
    const index = extra.findIndex(fits);
    return index < 0 ? undefined : extra.splice(index, 1)[0];
  };
  const different = expected.filter((part) => take((other) => same(part, other)) === undefined);
  const missing: Expected[] = [];
  const changed: Changed<Expected, Live>[] = [];
  for (const part of different) {
    const found = take((other) => isSameName(name(part), name(other)));
    if (found === undefined) missing.push(part);
    else changed.push({ expected: part, live: found });
  }
  return { missing, changed, extra };
}
