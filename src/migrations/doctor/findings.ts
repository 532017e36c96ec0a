import type { LiveColumn, LiveTable } from "./live-structure.ts";
import {
  breaksWrites,
  changesOf,
  differencesOf,
  emptyColumns,
  isSameName,
  refusesRows,
  renamedColumn,
} from "./structure-differences.ts";
import { indexDefinition, tableDefinition } from "./table-definitions.ts";
import {
  describeForeignKey,
  type ColumnStructure,
  type IndexStructure,
  type TableStructure,
} from "./table-structure.ts";

export type DoctorCode =
  | "TABLE_MISSING"
  | "TABLE_CHANGED"
  | "TABLE_EXTRA"
  | "TABLE_LEFT_OVER"
  | "COLUMN_MISSING"
  | "COLUMN_CHANGED"
  | "COLUMN_EXTRA"
  | "INDEX_MISSING"
  | "INDEX_CHANGED"
  | "INDEX_EXTRA"
  | "FOREIGN_KEY_MISSING"
  | "FOREIGN_KEY_CHANGED"
  | "FOREIGN_KEY_EXTRA"
  | "CHECK_MISSING"
  | "CHECK_CHANGED"
  | "CHECK_EXTRA"
  | "TRIGGER_EXTRA"
  | "MIGRATIONS_PENDING"
  | "MIGRATIONS_UNKNOWN"
  | "ORPHANED_ROWS"
  | "WORKFLOW_CHANGED";

/** A difference from the schema. A warning does not affect the stores. */
export interface DoctorFinding {
  readonly code: DoctorCode;
  readonly severity: "error" | "warning";
  readonly table: string;
  readonly message: string;
  readonly remedy: string;
}

/**
 * Who migrates the tables: `migrate` with pending migrations, `migrate` with none, a newer or another version of the
 * package, the app with its own migrations, or nobody yet.
 */
export type Lineage = "behind" | "current" | "ahead" | "app" | "nobody";

const byMigrating: Readonly<Record<Exclude<Lineage, "current" | "app">, string>> = {
  nobody: "run `gorkflow migrate`, or apply the migrations that your own drizzle-kit generates",
  behind: "run `gorkflow migrate`, and then this again",
  ahead:
    "use the version of gorkflow that migrated this database, or a later one, and then this again",
};
const byOwnMigration =
  "generate and apply a migration with your own drizzle-kit; if it finds nothing to do, ";

/** The remedy by who migrates the tables. `otherwise` applies if no migration helps. */
function remedyFor(lineage: Lineage, otherwise: string): string {
  if (lineage === "current") return otherwise;
  return lineage === "app" ? byOwnMigration + otherwise : byMigrating[lineage];
}

/** The findings of one table. `harmlessChecks` are conditions that every row of the stores meets. */
export function findingsOf(
  table: string,
  expected: TableStructure,
  live: LiveTable | undefined,
  lineage: Lineage,
  harmlessChecks: ReadonlySet<string>,
): DoctorFinding[] {
  const found: DoctorFinding[] = [];
  const report =
    (severity: DoctorFinding["severity"]) =>
    (code: DoctorCode, message: string, remedy: string): void =>
      void found.push({ code, severity, table, message, remedy });
  const [error, warning] = [report("error"), report("warning")];
  /** The text after the statement. */
  const restore = (statement: string, after = "") =>
    remedyFor(lineage, `run: ${statement};${after}`);
  const move = remedyFor(
    lineage,
    "stop what writes here, `gorkflow export` all runs, and `gorkflow import` them into a new database",
  );

  if (live === undefined) {
    const after = expected.indexes.length === 0 ? "" : " and then this again, for its indexes";
    const remedy = restore(tableDefinition(table, expected), after);
    error("TABLE_MISSING", `table ${table} is missing`, remedy);
    return found;
  }
  const differences = differencesOf(expected, live);
  const { columns, indexes, foreignKeys, checks } = differences;
  const empty = emptyColumns(differences);
  const yours = "keep it if you need it: a migration that rebuilds this table drops it";

  const renamed = renamedColumn(differences);
  const nameBack =
    renamed === null ? null : `rename ${renamed.live.name} back to ${renamed.expected.name}`;
  for (const { name } of columns.missing) {
    error(
      "COLUMN_MISSING",
      `column ${table}.${name} is missing${renamed === null ? "" : `: it seems to be called ${renamed.live.name} now`}`,
      remedyFor(
        lineage,
        nameBack ??
          "rename it back if it was renamed, or restore a backup: nothing else knows its values",
      ),
    );
  }
  for (const { expected: column, live: other } of columns.changed) {
    if (isNullableKey(column, other)) {
      warning(
        "COLUMN_CHANGED",
        `column ${table}.${column.name} may be NULL: drizzle-kit 1.0 leaves NOT NULL out of a TEXT primary key`,
        "leave it: the stores never write NULL there; do not write NULL in SQL of your own",
      );
      continue;
    }
    const changes = changesOf(column, other).join(", ");
    error("COLUMN_CHANGED", `column ${table}.${column.name} has another ${changes}`, move);
  }
  for (const column of columns.extra) {
    const message = `column ${table}.${column.name} is not in the schema`;
    if (breaksWrites(column)) {
      const remedy = nameBack === null ? move : remedyFor(lineage, nameBack);
      error("COLUMN_EXTRA", `${message}, and no row can be written without it`, remedy);
    } else {
      warning(
        "COLUMN_EXTRA",
        message,
        "keep columns of your own in a table of your own: a migration that rebuilds this one drops them",
      );
    }
  }

  for (const index of indexes.missing) {
    const message = `index ${index.name} is missing: queries scan without it`;
    error("INDEX_MISSING", message, restore(indexDefinition(table, index)));
  }
  for (const { expected: index, live: other } of indexes.changed) {
    const message = `index ${index.name} is ${describeIndex(other)}, not ${describeIndex(index)}`;
    error(
      "INDEX_CHANGED",
      message,
      remedyFor(lineage, "drop it, and then run this again: it prints the statement that makes it"),
    );
  }
  for (const index of indexes.extra) {
    const refuses = refusesRows(index, expected, empty);
    if (index.sql === null && !refuses) {
      const message = `${table} has ${describeIndex(index)}, which is not in the schema: it costs every write`;
      warning("INDEX_EXTRA", message, yours);
    } else if (index.sql === null) {
      const message = `${table} has ${describeIndex(index)}, which is not in the schema: it refuses rows of the stores`;
      error("INDEX_EXTRA", message, move);
    } else if (refuses) {
      const message = `index ${index.name}, ${describeIndex(index)}, is not in the schema: it refuses rows of the stores`;
      error("INDEX_EXTRA", message, "drop it, and keep the rule in a table of your own");
    } else {
      const message = `index ${index.name} is not in the schema: each costs every write`;
      warning("INDEX_EXTRA", message, "drop it, unless a query of yours needs it");
    }
  }

  for (const key of foreignKeys.missing) {
    error("FOREIGN_KEY_MISSING", `${table} lacks its ${describeForeignKey(key)}`, move);
  }
  for (const { expected: key, live: other } of foreignKeys.changed) {
    const message = `${table} has the ${describeForeignKey(other)}, not ${describeForeignKey(key)}`;
    error("FOREIGN_KEY_CHANGED", message, move);
  }
  for (const key of foreignKeys.extra) {
    const message = `${table} has a ${describeForeignKey(key)} that is not in the schema`;
    // SQLite does not check a reference with a NULL column.
    if (key.from.some((name) => empty.has(name.toLowerCase()))) {
      warning("FOREIGN_KEY_EXTRA", message, yours);
    } else error("FOREIGN_KEY_EXTRA", `${message}: it refuses rows of the stores`, move);
  }

  for (const { condition } of checks.missing) {
    error("CHECK_MISSING", `${table} lacks its check (${condition})`, move);
  }
  for (const { expected: check, live: other } of checks.changed) {
    const message = `${table} checks (${other.condition}), not (${check.condition})`;
    error("CHECK_CHANGED", message, move);
  }
  for (const { condition } of checks.extra) {
    const message = `${table} has a check (${condition}) that is not in the schema`;
    if (harmlessChecks.has(condition)) warning("CHECK_EXTRA", message, yours);
    else error("CHECK_EXTRA", `${message}: it refuses rows of the stores`, move);
  }

  for (const action of live.conflictActions) {
    const message = `${table} has a rule with ON CONFLICT ${action.toUpperCase()}: a write that breaks it changes or skips rows instead of failing`;
    error("TABLE_CHANGED", message, move);
  }

  for (const name of live.triggers) {
    warning(
      "TRIGGER_EXTRA",
      `trigger ${name} of ${table} is not in the schema: it is part of every write, and may undo it`,
      "drop it, unless it is yours and writes to tables of yours only",
    );
  }
  return found;
}

/** A table with a name like ours that this version does not have. */
export function findingOfOtherTable(table: string, known: readonly string[]): DoctorFinding {
  if (known.some((name) => isSameName(table, `__new_${name}`))) {
    return {
      code: "TABLE_LEFT_OVER",
      severity: "error",
      table,
      message: `table ${table} is left over of a rebuild, and the next one fails on it`,
      remedy: "compare its rows with the table's, then drop it",
    };
  }
  return {
    code: "TABLE_EXTRA",
    severity: "warning",
    table,
    message: `table ${table} is not in the schema, though it is named as tables of gorkflow are`,
    remedy:
      "drop it if it is a copy, or of another version; rename it if it is yours: a later version may use the name, " +
      "and a tablesFilter with `workflow_*` or `step_*` hides it from your drizzle-kit",
  };
}

function describeIndex({ columns, unique, where }: IndexStructure): string {
  const condition = where === null ? "" : ` where ${where}`;
  return `${unique ? "unique " : ""}on (${columns.join(", ")})${condition}`;
}

/** True for a primary key that lacks NOT NULL and nothing else. Then SQLite accepts NULL in it, unless it is an INTEGER. */
function isNullableKey(expected: ColumnStructure, live: LiveColumn): boolean {
  const isOnlyDifference = changesOf({ ...expected, notNull: false }, live).length === 0;
  return expected.primaryKey > 0 && expected.notNull && isOnlyDifference;
}
