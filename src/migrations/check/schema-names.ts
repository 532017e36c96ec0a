import { is } from "drizzle-orm";
import { getTableConfig, getViewConfig, SQLiteTable, SQLiteView } from "drizzle-orm/sqlite-core";
import type { MigrationProblem } from "./migration-problems.ts";

/** The distinct tables and views among the exports. Two files may export the same one. */
export function definitionsIn(
  schema: Readonly<Record<string, unknown>>,
): readonly (SQLiteTable | SQLiteView)[] {
  return [...new Set(Object.values(schema))].filter(
    (value) => is(value, SQLiteTable) || is(value, SQLiteView),
  );
}

/**
 * Duplicate names in the schema. SQLite rejects the second. drizzle-kit ends the process for some kinds, and drops the
 * first for others.
 */
export function findTakenNames(
  definitions: readonly (SQLiteTable | SQLiteView)[],
): MigrationProblem[] {
  const problems: MigrationProblem[] = [];
  const names = new Set<string>();
  const take = (taken: Set<string>, kind: string, name: string, place = ""): void => {
    const folded = name.toLowerCase();
    if (taken.has(folded)) {
      problems.push({
        code: "NAME_TAKEN",
        file: null,
        message: `the schema has more than one ${kind} called ${name}${place}`,
        remedy: "give each a name of its own",
      });
    }
    taken.add(folded);
  };
  for (const each of definitions) {
    if (is(each, SQLiteView)) take(names, "table or view", getViewConfig(each).name);
    else take(names, "table or view", getTableConfig(each).name);
  }
  for (const table of definitions) {
    if (!is(table, SQLiteTable)) continue;
    const { name, columns, indexes, uniqueConstraints, checks } = getTableConfig(table);
    const uniques = columns.flatMap(({ isUnique, uniqueName }) =>
      isUnique && uniqueName !== undefined ? [uniqueName] : [],
    );
    for (const unique of [...uniques, ...uniqueConstraints.map((each) => each.getName())]) {
      if (unique !== undefined) take(names, "index or unique constraint", unique, ` (in ${name})`);
    }
    for (const { config } of indexes) {
      take(names, "index or unique constraint", config.name, ` (in ${name})`);
    }
    const checkNames = new Set<string>();
    for (const check of checks) take(checkNames, "check", check.name, ` in ${name}`);
  }
  return problems;
}
