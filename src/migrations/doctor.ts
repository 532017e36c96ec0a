import { getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { schema } from "../schema/schema.ts";
import type { WorkflowTables } from "../schema/tables.ts";
import {
  structureOf,
  type ColumnStructure,
  type IndexStructure,
  type TableStructure,
} from "./expected-structure.ts";
import {
  clientOf,
  compare,
  migrationsTable,
  readJournal,
  type MigrationTarget,
} from "./journal.ts";
import { readStructures } from "./live-structure.ts";
import type { RunQuery } from "./structure.ts";

export type DoctorCode =
  | "TABLE_MISSING"
  | "TABLE_LEFT_OVER"
  | "COLUMN_MISSING"
  | "COLUMN_CHANGED"
  | "COLUMN_EXTRA"
  | "INDEX_MISSING"
  | "INDEX_CHANGED"
  | "INDEX_EXTRA"
  | "FOREIGN_KEY_MISSING"
  | "FOREIGN_KEY_EXTRA"
  | "CHECK_MISSING"
  | "CHECK_EXTRA"
  | "MIGRATIONS_PENDING"
  | "MIGRATIONS_UNKNOWN"
  | "ORPHANED_ROWS";

/** Something that is not as the schema has it. A warning does no harm to the stores. */
export interface DoctorFinding {
  readonly code: DoctorCode;
  readonly severity: "error" | "warning";
  readonly table: string;
  readonly message: string;
  readonly remedy: string;
}

export interface DoctorReport {
  /** True when there is no error; there may be warnings. */
  readonly healthy: boolean;
  readonly findings: readonly DoctorFinding[];
}

export interface DoctorOptions {
  /** An app's own tables: `createWorkflowTables({ prefix })`. */
  readonly tables?: WorkflowTables | undefined;
}

const migrateOrGenerate =
  "run `gorkflow migrate`, or, where your own drizzle-kit generates these tables, generate and apply a migration";
const restoreTable =
  "restore the table from a backup, or rebuild it with a migration; a running store fails on it";

/**
 * Compares the live database with the schema, and says what to do about each difference. It changes nothing.
 *
 * Only tables of the schema are looked at, and what is left over of a rebuild of them.
 */
export async function doctor(
  target: MigrationTarget,
  { tables = schema }: DoctorOptions = {},
): Promise<DoctorReport> {
  const client = clientOf(target);
  const query: RunQuery = async (sql, args) => {
    const { rows } = await client.execute({ sql, args: [...args] });
    return rows.map((row) => Array.from(row));
  };
  const expected = new Map(
    Object.values(tables).flatMap((table) =>
      is(table, SQLiteTable) ? [[getTableName(table), structureOf(table)] as const] : [],
    ),
  );
  const live = await readStructures(query, [...expected.keys()]);
  const findings: DoctorFinding[] = [];
  for (const [table, structure] of expected) {
    const found = live.get(table);
    findings.push(
      ...(found === undefined
        ? [error("TABLE_MISSING", table, `table ${table} is missing`, migrateOrGenerate)]
        : compareTables(table, structure, found)),
    );
  }
  findings.push(...(await findLeftovers(query, [...expected.keys()])));
  if (tables === schema) findings.push(...(await checkMigrationsTable(target)));
  if (live.size === expected.size) findings.push(...(await findOrphans(query, tables)));
  return { healthy: findings.every(({ severity }) => severity !== "error"), findings };
}

function compareTables(
  table: string,
  expected: TableStructure,
  live: TableStructure,
): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  for (const [name, column] of expected.columns) {
    const found = live.columns.get(name);
    const changed = found === undefined ? [] : changesOf(column, found);
    if (found === undefined) {
      findings.push(
        error("COLUMN_MISSING", table, `column ${table}.${name} is missing`, migrateOrGenerate),
      );
    } else if (changed.length > 0) {
      const message = `column ${table}.${name} has another ${changed.join(", ")}`;
      findings.push(error("COLUMN_CHANGED", table, message, restoreTable));
    }
  }
  for (const [name, column] of live.columns) {
    if (expected.columns.has(name)) continue;
    const message = `column ${table}.${name} is not in the schema`;
    findings.push(
      column.notNull && column.default === null
        ? error(
            "COLUMN_EXTRA",
            table,
            `${message}, and no row can be written without it`,
            "drop it, or give it a default",
          )
        : warning("COLUMN_EXTRA", table, message, "keep your own columns in a table of your own"),
    );
  }
  for (const [name, index] of expected.indexes) {
    const found = live.indexes.get(name);
    if (found === undefined) {
      findings.push(
        error(
          "INDEX_MISSING",
          table,
          `index ${name} is missing: queries scan without it`,
          migrateOrGenerate,
        ),
      );
    } else if (!sameIndex(index, found)) {
      const message = `index ${name} is on other columns or rows`;
      findings.push(
        error("INDEX_CHANGED", table, message, "drop it and create it as the schema has it"),
      );
    }
  }
  for (const name of live.indexes.keys()) {
    if (expected.indexes.has(name)) continue;
    const message = `index ${name} is not in the schema: each costs every write`;
    findings.push(
      warning("INDEX_EXTRA", table, message, "drop it, unless a query of yours needs it"),
    );
  }
  const both = (
    kind: "FOREIGN_KEY" | "CHECK",
    words: string,
    a: ReadonlySet<string>,
    b: ReadonlySet<string>,
  ) => {
    for (const each of a) {
      if (!b.has(each))
        findings.push(
          error(`${kind}_MISSING`, table, `${words} of ${table} is missing: ${each}`, restoreTable),
        );
    }
    for (const each of b) {
      if (!a.has(each))
        findings.push(
          error(
            `${kind}_EXTRA`,
            table,
            `${words} of ${table} is not in the schema: ${each}`,
            restoreTable,
          ),
        );
    }
  };
  both("FOREIGN_KEY", "foreign key", expected.foreignKeys, live.foreignKeys);
  both("CHECK", "check", expected.checks, live.checks);
  return findings;
}

function changesOf(expected: ColumnStructure, live: ColumnStructure): string[] {
  return [
    ...(expected.type === live.type ? [] : [`type (${live.type})`]),
    ...(expected.notNull === live.notNull ? [] : ["nullability"]),
    ...(expected.default === live.default ? [] : ["default"]),
    ...(expected.primaryKey === live.primaryKey ? [] : ["place in the primary key"]),
  ];
}

function sameIndex(expected: IndexStructure, live: IndexStructure): boolean {
  return (
    expected.unique === live.unique &&
    expected.where === live.where &&
    expected.columns.join("\n") === live.columns.join("\n")
  );
}

/** drizzle-kit rebuilds a table as `__new_…`: one that is left over is of a rebuild that was interrupted. */
async function findLeftovers(query: RunQuery, tables: readonly string[]): Promise<DoctorFinding[]> {
  const names = tables.map((table) => `__new_${table}`);
  const rows = await query(
    "select name from sqlite_schema where type = 'table' and name in (select value from json_each(?))",
    [JSON.stringify(names)],
  );
  return rows.map(([name]) =>
    error(
      "TABLE_LEFT_OVER",
      String(name),
      `table ${String(name)} is left over of a rebuild`,
      "compare its rows with the table's, then drop it",
    ),
  );
}

async function checkMigrationsTable(target: MigrationTarget): Promise<DoctorFinding[]> {
  const journal = await readJournal(clientOf(target));
  // Without a journal the tables are the app's own: then only their structure counts.
  if (journal === null) return [];
  const { pending, unknown } = compare(journal);
  return [
    ...(pending.length === 0
      ? []
      : [
          error(
            "MIGRATIONS_PENDING",
            migrationsTable,
            `not applied yet: ${pending.join(", ")}`,
            "run `gorkflow migrate`",
          ),
        ]),
    ...(unknown.length === 0
      ? []
      : [
          error(
            "MIGRATIONS_UNKNOWN",
            migrationsTable,
            `${unknown.length} applied migration(s) are not of this version`,
            "use the version of the package that applied them, or a later one",
          ),
        ]),
  ];
}

/** Rows whose run is gone: somebody deleted it where foreign keys were off. */
async function findOrphans(query: RunQuery, tables: WorkflowTables): Promise<DoctorFinding[]> {
  const runs = getTableName(tables.workflowRuns);
  const findings: DoctorFinding[] = [];
  for (const table of [
    tables.stepExecutions,
    tables.stepAttempts,
    tables.stepOutputs,
    tables.workflowState,
  ]) {
    const name = getTableName(table);
    const [row] = await query(
      `select count(*) from "${name}" where run_id not in (select run_id from "${runs}")`,
      [],
    );
    const count = Number(row?.[0]);
    if (count === 0) continue;
    findings.push(
      warning(
        "ORPHANED_ROWS",
        name,
        `${count} row(s) of ${name} belong to runs that are gone`,
        "`pruneRuns` removes them; switch foreign keys on where you delete runs",
      ),
    );
  }
  return findings;
}

function error(code: DoctorCode, table: string, message: string, remedy: string): DoctorFinding {
  return { code, severity: "error", table, message, remedy };
}

function warning(code: DoctorCode, table: string, message: string, remedy: string): DoctorFinding {
  return { code, severity: "warning", table, message, remedy };
}
