import type { LiveCheck, LiveColumn, LiveIndex, LiveTable } from "./live-structure.ts";
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

/** How a table of the database differs from the one that the schema asks for. */
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
    // What a check is called makes no difference as long as it says the same.
    checks: compareParts(expected.checks, live.checks, {
      name: ({ name, condition }) => name ?? condition,
      same: (a, b) => a.condition === b.condition,
    }),
  };
}

/** What is another one in a column, in words. */
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

/** Whether no row can be written without a column that no store writes. */
export function breaksWrites({ notNull, default: value, isGenerated }: LiveColumn): boolean {
  return notNull && value === null && !isGenerated;
}

/** The columns of an app's own that are NULL in every row of the stores, in lower case. */
export function emptyColumns({ columns: { extra } }: TableDifferences): ReadonlySet<string> {
  const empty = extra.filter((each) => !each.isGenerated && !each.notNull && each.default === null);
  return new Set(empty.map(({ name }) => name.toLowerCase()));
}

/** Whether an index refuses rows that the schema allows. Rows that are NULL in one of its columns all differ. */
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
 * The column that is missing and the one that is there instead, when there is one of each, only their names differ,
 * and no row could have been written without either: then it was renamed. Of others one cannot know.
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

/** A part that is not the same anywhere, and has its name there, is a changed one. */
function compareParts<Expected, Live extends Expected>(
  expected: readonly Expected[],
  live: readonly Live[],
  { name, same }: { name: (part: Expected) => string; same: (a: Expected, b: Live) => boolean },
): Differences<Expected, Live> {
  const extra = [...live];
  /** Takes the first that fits out of those that are left. */
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
