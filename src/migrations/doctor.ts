import type { Client } from "@libsql/client";
import { getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import { schema } from "../schema/schema.ts";
import { workflowRuns, type WorkflowTables } from "../schema/tables.ts";
import { structureOf } from "./expected-structure.ts";
import { findingOfOtherTable, findingsOf, type DoctorFinding, type Lineage } from "./findings.ts";
import {
  clientOf,
  compare,
  migrationsTable,
  readJournal,
  type MigrationStatus,
  type MigrationTarget,
} from "./journal.ts";
import { readDependents, readOtherTables, readTables, type LiveTable } from "./live-structure.ts";
import { repairOf } from "./repair.ts";
import { sqlScript } from "./sql-statements.ts";
import type { RunQuery } from "./structure.ts";
import type { TableStructure } from "./table-structure.ts";

export interface DoctorReport {
  /** True when there is no error; there may be warnings. */
  readonly healthy: boolean;
  readonly findings: readonly DoctorFinding[];
}

export interface DoctorOptions {
  /** An app's own tables: `createWorkflowTables({ prefix })`. */
  readonly tables?: WorkflowTables | undefined;
}

/**
 * Compares the live database with the schema, and says what to do about each difference. It changes nothing.
 *
 * It looks at the tables of the schema, with all that belongs to them, and at tables that are named like them:
 * `workflow_*` and `step_*` behind the prefix, and `__gorkflow_*`. No other table of an app is looked at.
 */
export async function doctor(
  target: MigrationTarget,
  { tables = schema }: DoctorOptions = {},
): Promise<DoctorReport> {
  const patient = await examine(clientOf(target), tables);
  const { query, expected, live, journal, lineage } = patient;
  const known = [...expected.keys()];
  const others = await readOtherTables(query, namesLikeOurs(tables), [...known, migrationsTable]);
  const findings = [
    ...[...expected].flatMap(([table, structure]) =>
      findingsOf(table, structure, live.get(table), lineage),
    ),
    ...others.map((table) => findingOfOtherTable(table, known)),
    ...(journal === null ? [] : findingsOfJournal(journal)),
    ...(await findOrphans(query, tables, live)),
  ];
  return { healthy: findings.every(({ severity }) => severity !== "error"), findings };
}

/**
 * An SQL script that makes good what `doctor` calls an error in the structure of the tables, or an empty text when
 * there is none. It changes nothing itself.
 *
 * The script alters what can be altered, and makes a table anew where SQLite has no other way. It keeps every row,
 * and the columns, indexes and triggers of others that do no harm. It is one transaction: where rows do not fit what
 * the schema asks for, it fails and changes nothing. While `migrate` has something to apply there is no script.
 */
export async function repairScript(
  target: MigrationTarget,
  { tables = schema }: DoctorOptions = {},
): Promise<string> {
  const { query, expected, live, lineage } = await examine(clientOf(target), tables);
  if (lineage !== "current" && lineage !== "app") return "";
  const dependents = await readDependents(query);
  const statements = [...expected].flatMap(([table, structure]) =>
    repairOf(table, structure, live.get(table), dependents),
  );
  if (statements.length === 0) return "";
  return sqlScript(
    "-- Stop what writes here, and take a backup first. Stop at the first error: sqlite3 -bail app.db < repair.sql",
    [["BEGIN IMMEDIATE", ...statements, "COMMIT"]],
  );
}

interface Patient {
  readonly query: RunQuery;
  readonly expected: ReadonlyMap<string, TableStructure>;
  readonly live: ReadonlyMap<string, LiveTable>;
  /** Null where the tables are the app's own to migrate. */
  readonly journal: MigrationStatus | null;
  readonly lineage: Lineage;
}

async function examine(client: Client, tables: WorkflowTables): Promise<Patient> {
  const query: RunQuery = async (sql, args) => {
    const { rows } = await client.execute({ sql, args: [...args] });
    return rows.map((row) => Array.from(row));
  };
  const expected = new Map(
    Object.values(tables).flatMap((table) =>
      is(table, SQLiteTable) ? [[getTableName(table), structureOf(table)] as const] : [],
    ),
  );
  const live = await readTables(query, [...expected.keys()]);
  const isPlain = getTableName(tables.workflowRuns) === getTableName(workflowRuns);
  const applied = (isPlain ? await readJournal(client) : null) ?? [];
  // An empty journal is what a migration that was refused has left: it says nothing of who made the tables.
  const journal = applied.length === 0 ? null : compare(applied);
  // Our migrations make the plain tables only.
  const isNew = isPlain && live.size === 0;
  return { query, expected, live, journal, lineage: lineageOf(journal, isNew) };
}

function lineageOf(journal: MigrationStatus | null, isNew: boolean): Lineage {
  if (journal === null) return isNew ? "nobody" : "app";
  if (journal.unknown.length > 0) return "ahead";
  return journal.pending.length > 0 ? "behind" : "current";
}

/** How names of ours begin, and those of tables that a rebuild of ours has left. */
function namesLikeOurs(tables: WorkflowTables): string[] {
  const plain = getTableName(workflowRuns);
  const prefix = getTableName(tables.workflowRuns).slice(0, -plain.length);
  return ["", "__new_"]
    .flatMap((rebuilt) => [`${rebuilt}${prefix}workflow_`, `${rebuilt}${prefix}step_`])
    .concat("__gorkflow_");
}

function findingsOfJournal({ pending, unknown }: MigrationStatus): DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  const [severity, table] = ["error", migrationsTable] as const;
  const another = "use the version of the package that applied them, or a later one";
  if (pending.length > 0) {
    const message = `not applied yet: ${pending.join(", ")}`;
    // `migrate` refuses while there is one that it does not know.
    const remedy = unknown.length > 0 ? another : "run `gorkflow migrate`";
    findings.push({ code: "MIGRATIONS_PENDING", severity, table, message, remedy });
  }
  if (unknown.length > 0) {
    const message = `${unknown.length} applied migration(s) are not of this version`;
    findings.push({ code: "MIGRATIONS_UNKNOWN", severity, table, message, remedy: another });
  }
  return findings;
}

/** Rows whose run is gone: somebody deleted it where foreign keys were off. */
async function findOrphans(
  query: RunQuery,
  tables: WorkflowTables,
  live: ReadonlyMap<string, LiveTable>,
): Promise<DoctorFinding[]> {
  const runs = getTableName(tables.workflowRuns);
  const findings: DoctorFinding[] = [];
  const hasRunId = (table: string) =>
    live.get(table)?.columns.some(({ name }) => name === tables.workflowRuns.runId.name);
  for (const table of [
    tables.stepExecutions,
    tables.stepAttempts,
    tables.stepOutputs,
    tables.workflowState,
  ]) {
    const name = getTableName(table);
    if (!hasRunId(name) || !hasRunId(runs)) continue;
    const [row] = await query(
      `select count(*) from "${name}" where run_id not in (select run_id from "${runs}")`,
      [],
    );
    const count = Number(row?.[0]);
    if (count === 0) continue;
    findings.push({
      code: "ORPHANED_ROWS",
      severity: "warning",
      table: name,
      message: `${count} row(s) of ${name} belong to runs that are gone`,
      remedy: "`pruneRuns` removes them; switch foreign keys on where you delete runs",
    });
  }
  return findings;
}
