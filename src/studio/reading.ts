import { getTableName } from "drizzle-orm";
import { getTableConfig } from "drizzle-orm/sqlite-core";
import * as z from "zod/mini";
import { traceIdOf } from "../engine/observe/trace-context.ts";
import {
  CorruptRowError,
  InvalidArgumentError,
  RunNotFoundError,
  UnsupportedError,
} from "../errors.ts";
import { doctor } from "../migrations/doctor/doctor.ts";
import { migrationStatus } from "../migrations/journal.ts";
import type { MigrationTarget } from "../migrations/index.ts";
import type { RunQuery } from "../model/run-queries.ts";
import type { ReportDatabase } from "../reports/index.ts";
import { tablesSchema } from "../reports/query/options.ts";
import type { StepAttempt, StepExecutionSummary, WorkflowRun } from "../schema/rows.ts";
import { schema } from "../schema/schema.ts";
import type { WorkflowTables } from "../schema/tables.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { describeError, RefusedRequestError, type ShownError } from "./errors.ts";
import type { StudioOptions } from "./options.ts";
import { causesOf, previewOf, textOf } from "./payloads.ts";
import { csvOf, withoutFormula } from "../reports/csv.ts";
import {
  columnsOfReport,
  runReport,
  type ReportArguments,
  type ReportName,
  type ReportRow,
} from "../reports/named-reports.ts";
import { bucketsOfLine } from "../reports/query/buckets.ts";

/** What a part of a page contains, or the error of reading it. */
type Part<Value> = { readonly value: Value } | { readonly error: ShownError };

type Redact = (place: string, value: unknown) => unknown;

type Database = ReportDatabase<"async", unknown> & MigrationTarget;

/** A store with a Drizzle database. */
interface DatabaseStore {
  readonly db: Database;
  readonly tables?: WorkflowTables;
  reportingWith?(limits: { readonly timeoutMs: number }): Database;
}

const reportTimeoutMs = 60_000;

/** A read that fails on one row does not hide the rest of the page. */
async function part<Value>(read: Promise<Value>): Promise<Part<Value>> {
  try {
    return { value: await read };
  } catch (error) {
    if (error instanceof CorruptRowError || error instanceof UnsupportedError) {
      return { error: describeError(error).error };
    }
    throw error;
  }
}

/**
 * The tables of the store, or else the given ones.
 *
 * @throws {InvalidArgumentError} if the given ones are not those of the store.
 */
function tablesOf(store: WorkflowStore, given: WorkflowTables | undefined): WorkflowTables {
  const { tables } = store as Partial<DatabaseStore>;
  if (!tablesSchema.safeParse(tables).success) return given ?? schema;
  const own = tables as WorkflowTables;
  const isOther = ({ workflowRuns }: WorkflowTables) =>
    getTableName(workflowRuns) !== getTableName(own.workflowRuns);
  if (given !== undefined && isOther(given)) {
    const reason = "must be the tables of the store";
    throw new InvalidArgumentError({ argument: "options.tables", reason });
  }
  return own;
}

const cellOf = (value: unknown) =>
  typeof value === "string" || value === null ? value : textOf(value);

/** The reads of the studio, by operations of the contract and reports. */
export class StudioReader {
  readonly #store: WorkflowStore;
  readonly #redact: Redact;
  readonly #tables: WorkflowTables;
  readonly #traceUrl: StudioOptions["traceUrl"];
  #database: Database | null | undefined;

  constructor(
    store: WorkflowStore,
    {
      redact,
      tables,
      traceUrl,
    }: { readonly redact: Redact } & Pick<StudioOptions, "tables" | "traceUrl">,
  ) {
    this.#store = store;
    this.#redact = redact;
    this.#tables = tablesOf(store, tables);
    this.#traceUrl = traceUrl;
  }

  async counts(query: RunQuery): Promise<unknown> {
    const { limit: _, cursor: _cursor, ...filter } = query;
    return { counts: await this.#store.countRuns(filter), now: new Date() };
  }

  async runs(query: RunQuery): Promise<unknown> {
    const { runs, nextCursor, prevCursor, corrupt } = await this.#store.listRuns(query);
    return {
      runs: runs.map(({ error: _error, ...run }) =>
        Object.assign(run, { tags: this.#redact("tags", run.tags) }),
      ),
      nextCursor,
      prevCursor,
      corrupt: corrupt.map(({ message }) => message),
      now: new Date(),
    };
  }

  async run(runId: string): Promise<unknown> {
    const [run, steps, attempts, state] = await Promise.all([
      part<WorkflowRun>(this.#store.getRun(runId)),
      part(this.#store.listStepExecutions(runId, { payloads: false })),
      part(this.#store.listStepAttempts(runId)),
      part(this.#store.getAllState(runId)),
    ]);
    return {
      run: "error" in run ? await this.#withoutPayloads(runId, run.error) : this.#shown(run.value),
      steps: "error" in steps ? steps : { value: steps.value.map(this.#withError) },
      attempts: "error" in attempts ? attempts : { value: attempts.value.map(this.#withCauses) },
      state: "error" in state ? state : { value: previewOf(this.#redact("state", state.value)) },
      now: new Date(),
    };
  }

  #shown(run: WorkflowRun): unknown {
    const { input, output, context, error, tags, ...facts } = run;
    return {
      value: {
        ...facts,
        tags: this.#redact("tags", tags),
        error: this.#error(error),
        traceUrl: this.#traceUrlOf(run),
        payloads: {
          input: previewOf(this.#redact("input", input)),
          output: previewOf(this.#redact("output", output)),
          context: previewOf(this.#redact("context", context)),
        },
      },
    };
  }

  /** A link of another kind, such as `javascript:`, is left out, and one that fails. */
  #traceUrlOf({ runId, workflowId, context }: WorkflowRun): string | undefined {
    const traceId = traceIdOf(context);
    try {
      const url = traceId === null ? undefined : this.#traceUrl?.({ runId, workflowId, traceId });
      return url !== undefined && /^https?:/i.test(url) ? url : undefined;
    } catch {
      // A link of the app must not hide the run.
      return undefined;
    }
  }

  /** The run, if only a payload cannot be read. */
  async #withoutPayloads(runId: string, unreadable: ShownError): Promise<unknown> {
    const run = await part(this.#store.getRun(runId, { payloads: false }));
    if ("error" in run) return run;
    const { error, tags, ...facts } = run.value;
    const shown = { ...facts, tags: this.#redact("tags", tags), error: this.#error(error) };
    return { value: { ...shown, payloads: null, unreadable } };
  }

  readonly #withError = ({ error, ...row }: StepExecutionSummary) =>
    Object.assign(row, { error: this.#error(error) });

  readonly #withCauses = ({ error, ...row }: StepAttempt) =>
    Object.assign(row, {
      error: error === null ? null : { causes: causesOf(this.#redact("error", error)) },
    });

  #error(error: unknown): unknown {
    if (error === null) return null;
    const shown = this.#redact("error", error);
    return { ...previewOf(shown), causes: causesOf(shown) };
  }

  async step(runId: string, stepId: string): Promise<unknown> {
    const [step, output] = await Promise.all([
      part(this.#store.getStepExecution(runId, stepId)),
      part(this.#store.findStepOutput(runId, stepId)),
    ]);
    return {
      input: "error" in step ? step : { value: this.#preview("input", step.value.input) },
      output:
        "error" in output
          ? output
          : { value: output.value && this.#preview("output", output.value.output) },
    };
  }

  #preview(place: string, value: unknown) {
    return previewOf(this.#redact(place, value));
  }

  /** The whole text of a payload. */
  async payload(runId: string, kind: string, stepId: string | null): Promise<string> {
    const payloads: Readonly<Record<string, () => Promise<unknown>>> = {
      input: async () =>
        stepId === null
          ? (await this.#store.getRun(runId)).input
          : (await this.#store.getStepExecution(runId, stepId)).input,
      output: async () =>
        stepId === null
          ? (await this.#store.getRun(runId)).output
          : await this.#store.loadStepOutput(runId, stepId),
      error: async () =>
        stepId === null
          ? (await this.#store.getRun(runId, { payloads: false })).error
          : (await this.#store.getStepExecution(runId, stepId)).error,
      context: async () => (await this.#store.getRun(runId)).context,
      state: async () => this.#store.getAllState(runId),
    };
    const read = Object.hasOwn(payloads, kind) ? payloads[kind] : undefined;
    if (read === undefined) throw new RefusedRequestError(404, "NOT_FOUND", "no such payload");
    return textOf(this.#redact(kind, await read()));
  }

  async find(runId: string): Promise<unknown> {
    const run = await this.#store.findRun(runId, { payloads: false });
    if (run === null) throw new RunNotFoundError({ runId });
    return { runId: run.runId };
  }

  /** True if the store has a database that reports can read. */
  get hasReports(): boolean {
    return this.#databaseOf() !== null;
  }

  async report(name: ReportName, given: ReportArguments): Promise<unknown> {
    const rows = await this.#rows(name, this.#requireDatabase(), this.#withTables(given));
    const { limit, per, zone = "UTC" } = given;
    const { since = null, until = null } = given.options;
    const starts = rows.flatMap(({ bucketStart }) => {
      return bucketStart instanceof Date ? bucketStart.getTime() : [];
    });
    const window = {
      since: since && since.getTime(),
      until: Math.min(Date.now(), until === null ? Infinity : until.getTime() - 1),
    };
    const times = starts.length === 0 ? [] : bucketsOfLine(starts, { per, zone }, window);
    return { rows, times, zone, limit };
  }

  async csv(name: ReportName, given: ReportArguments): Promise<string> {
    const [database, args] = [this.#requireDatabase(), this.#withTables(given)];
    const columns = columnsOfReport(name, database, args);
    const rows = await this.#rows(name, database, args);
    return `${csvOf(rows, withoutFormula, columns)}\n`;
  }

  /** The rows of a report. The codes and names of errors are redacted as in the errors. */
  async #rows(
    name: ReportName,
    database: Database,
    args: ReportArguments,
  ): Promise<readonly ReportRow[]> {
    const rows = await runReport(name, database, args);
    if (name !== "errors" && name !== "step-errors") return rows;
    return rows.map((row) => {
      const shown = this.#redact("error", { code: row["code"], name: row["name"] });
      const { code = null, name: errorName = null } = Object(shown) as Record<string, unknown>;
      return Object.assign({}, row, { code: cellOf(code), name: cellOf(errorName) });
    });
  }

  #withTables(given: ReportArguments): ReportArguments {
    return { ...given, options: { ...given.options, tables: this.#tables } };
  }

  async schema(): Promise<unknown> {
    const database = this.#databaseOf();
    return {
      tables: z.keyof(tablesSchema).options.map((property) => {
        const { name, columns, indexes, foreignKeys, primaryKeys } = getTableConfig(
          this.#tables[property],
        );
        const keys = new Set(primaryKeys.flatMap((key) => key.columns.map((each) => each.name)));
        return {
          name,
          columns: columns.map((column) => ({
            name: column.name,
            type: column.getSQLType(),
            notNull: column.notNull,
            primary: column.primary || keys.has(column.name),
          })),
          indexes: indexes.map(({ config }) => ({
            name: config.name,
            columns: config.columns.map((column) => ("name" in column ? column.name : "…")),
            unique: config.unique,
          })),
          references: foreignKeys.map((key) => {
            const { columns: from, foreignTable } = key.reference();
            return { from: from.map((each) => each.name), to: getTableName(foreignTable) };
          }),
        };
      }),
      migrations:
        database === null ||
        getTableName(this.#tables.workflowRuns) !== getTableName(schema.workflowRuns)
          ? null
          : await part(migrationStatus(database)),
    };
  }

  async doctor(): Promise<unknown> {
    return doctor(this.#requireDatabase(), { tables: this.#tables });
  }

  #requireDatabase(): Database {
    const database = this.#databaseOf();
    if (database !== null) return database;
    const reason = "the store has no SQLite database that they can read";
    throw new UnsupportedError({ feature: "reports", reason });
  }

  /** The background reader of the store if it has one, and otherwise the app's own database. */
  #databaseOf(): Database | null {
    if (this.#database !== undefined) return this.#database;
    const store = this.#store as Partial<DatabaseStore>;
    try {
      this.#database = store.reportingWith?.({ timeoutMs: reportTimeoutMs }) ?? store.db ?? null;
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
      this.#database = store.db ?? null;
    }
    return this.#database;
  }
}
