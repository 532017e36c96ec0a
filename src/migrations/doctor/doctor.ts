import { getTableName, is } from "drizzle-orm";
import { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { parseArgument } from "../../arguments.ts";
import { schema } from "../../schema/schema.ts";
import { tablesSchema } from "../../schema/tables-schema.ts";
import { workflowRuns, type WorkflowTables } from "../../schema/tables.ts";
import { rethrow } from "../../stores/sqlite/errors/translate.ts";
import { structureOf } from "./expected-structure.ts";
import { findingOfOtherTable, findingsOf, type DoctorFinding, type Lineage } from "./findings.ts";
import { compare, migrationsTable, readJournal, type MigrationStatus } from "../journal.ts";
import { clientOf, type MigrationClient, type MigrationTarget } from "../migration-client.ts";
import { readOtherTables, readTables, type LiveColumn, type LiveTable } from "./live-structure.ts";
import type { RunQuery } from "../structure.ts";
import { isSameName } from "./structure-differences.ts";
import { quote } from "./table-definitions.ts";
import type { TableStructure } from "./table-structure.ts";

export interface DoctorReport {
  /** True if there is no error. There may be warnings. */
  readonly healthy: boolean;
  readonly findings: readonly DoctorFinding[];
}

export interface DoctorOptions {
  /** The tables of `createWorkflowTables({ prefix })`. Defaults to the plain tables. */
  readonly tables?: WorkflowTables | undefined;
}

const optionsSchema = z.strictObject({ tables: z.optional(tablesSchema) });

/**
 * Compares a live database with the schema, and says what to do about each difference. Changes nothing.
 *
 * It checks the tables of the schema with their indexes, keys, checks and triggers, and tables with similar names:
 * `workflow_*` and `step_*` after the prefix, and `__gorkflow_*`. It does not check other tables, nor what makes no
 * difference to the stores: STRICT, WITHOUT ROWID, the order of a primary key, and when a foreign key is checked.
 *
 * @throws {InvalidArgumentError} if an option is invalid.
 * @throws {StoreConnectionError} if the database cannot be reached.
 */
export async function doctor(
  target: MigrationTarget,
  options: DoctorOptions = {},
): Promise<DoctorReport> {
  const { tables = schema } = parseArgument(optionsSchema, options, "options");
  return examine(clientOf(target), tables).catch(rethrow("read"));
}

async function examine(client: MigrationClient, tables: WorkflowTables): Promise<DoctorReport> {
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
  const journal = await readPlainJournal(client, tables);
  const lineage = lineageOf(journal, isPlain(tables) && live.size === 0);
  const known = [...expected.keys()];
  const others = await readOtherTables(query, namesLikeOurs(tables), [...known, migrationsTable]);
  const ofTables: DoctorFinding[] = [];
  for (const [table, structure] of expected) {
    const found = live.get(table);
    const harmless = found === undefined ? none : await findHarmlessChecks(query, structure, found);
    ofTables.push(...findingsOf(table, structure, found, lineage, harmless));
  }
  const findings = [
    ...ofTables,
    ...others.map((table) => findingOfOtherTable(table, known)),
    ...(journal === null ? [] : findingsOfJournal(journal)),
    ...(await findOrphans(query, tables, live)),
    ...(await findOtherWorkflows(query, tables, live)),
  ];
  return { healthy: findings.every(({ severity }) => severity !== "error"), findings };
}

const none: ReadonlySet<string> = new Set();

/** Checks on columns of the app that are true for their defaults, which is what the stores write. */
async function findHarmlessChecks(
  query: RunQuery,
  expected: TableStructure,
  live: LiveTable,
): Promise<Set<string>> {
  const isOurs = ({ name }: LiveColumn) =>
    expected.columns.some((column) => isSameName(column.name, name));
  const others = live.columns.filter((column) => !column.isGenerated && !isOurs(column));
  const unknown = live.columns
    .filter((column) => column.isGenerated || isOurs(column))
    .map(({ name }) => name.toLowerCase());
  const defaults = others.map((column) => `(${column.default ?? "null"}) as ${quote(column.name)}`);
  const harmless = new Set<string>();
  for (const { condition, words, sql } of live.checks) {
    if (others.length === 0 || unknown.some((name) => words.has(name))) continue;
    try {
      const [row] = await query(
        `select iif(coalesce(${sql}, 1), 1, 0) from (select ${defaults.join(", ")})`,
        [],
      );
      // As in SQLite, a check that is NULL passes.
      if (Number(row?.[0]) === 1) harmless.add(condition);
    } catch {
      // The condition cannot be evaluated.
    }
  }
  return harmless;
}

/** The migrations of the package create only the plain tables. */
async function readPlainJournal(
  client: MigrationClient,
  tables: WorkflowTables,
): Promise<MigrationStatus | null> {
  if (!isPlain(tables)) return null;
  const applied = (await readJournal(client)) ?? [];
  // A rejected migration leaves an empty journal, which does not show who created the tables.
  return applied.length === 0 ? null : compare(applied);
}

function isPlain({ workflowRuns: runs }: WorkflowTables): boolean {
  return getTableName(runs) === getTableName(workflowRuns);
}

function lineageOf(journal: MigrationStatus | null, isNew: boolean): Lineage {
  if (journal === null) return isNew ? "nobody" : "app";
  if (journal.unknown.length > 0) return "ahead";
  return journal.pending.length > 0 ? "behind" : "current";
}

/** The prefixes of our names, and of tables that an interrupted rebuild left. */
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
    // `migrate` rejects the database while it has an unknown migration.
    const remedy = unknown.length > 0 ? another : "run `gorkflow migrate`";
    findings.push({ code: "MIGRATIONS_PENDING", severity, table, message, remedy });
  }
  if (unknown.length > 0) {
    const message = `${unknown.length} applied migration(s) are not of this version`;
    findings.push({ code: "MIGRATIONS_UNKNOWN", severity, table, message, remedy: another });
  }
  return findings;
}

/** Rows whose run does not exist, because it was deleted while foreign keys were off. */
async function findOrphans(
  query: RunQuery,
  tables: WorkflowTables,
  live: ReadonlyMap<string, LiveTable>,
): Promise<DoctorFinding[]> {
  const runs = getTableName(tables.workflowRuns);
  const findings: DoctorFinding[] = [];
  const hasRunId = (table: string) =>
    live.get(table)?.columns.some(({ name }) => isSameName(name, tables.workflowRuns.runId.name));
  for (const table of [
    tables.stepExecutions,
    tables.stepAttempts,
    tables.stepOutputs,
    tables.workflowState,
  ]) {
    const name = getTableName(table);
    if (!hasRunId(name) || !hasRunId(runs)) continue;
    const [row] = await query(
      `select count(*) from ${quote(name)} where run_id not in (select run_id from ${quote(runs)})`,
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

/** Steps that name another workflow than their run, because the app has renamed it in the row of the run. */
async function findOtherWorkflows(
  query: RunQuery,
  tables: WorkflowTables,
  live: ReadonlyMap<string, LiveTable>,
): Promise<DoctorFinding[]> {
  const [runs, table] = [getTableName(tables.workflowRuns), getTableName(tables.stepExecutions)];
  const hasColumns = [runs, table].every((name) =>
    ["run_id", "workflow_id"].every((column) =>
      live.get(name)?.columns.some((each) => isSameName(each.name, column)),
    ),
  );
  if (!hasColumns) return [];
  const [row] = await query(
    `select count(*) from ${quote(table)} as step join ${quote(runs)} as run using (run_id)
     where step.workflow_id <> run.workflow_id`,
    [],
  );
  const count = Number(row?.[0]);
  if (count === 0) return [];
  return [
    {
      code: "WORKFLOW_CHANGED",
      severity: "warning",
      table,
      message: `${count} row(s) of ${table} name another workflow than their run, and reports on steps use this name`,
      remedy: "set `workflow_id` of these rows to that of their run",
    },
  ];
}
