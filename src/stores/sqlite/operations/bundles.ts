import { ConstraintError, CorruptRowError, RunAlreadyExistsError } from "../../../errors.ts";
import { compareSteps, parseBundles, type RunBundle } from "../../../model/bundles.ts";
import { parseWriteBundlesOptions } from "../../../model/options.ts";
import {
  countWithinPage,
  nextBundleCursor,
  pageBytes,
  parseBundleQuery,
  type ParsedRunQuery,
} from "../../../model/run-queries.ts";
import type { RowCodec } from "../../../schema/row-codec.ts";
import type { BundlePage, BundleStore, WriteBundlesReport } from "../../../store/bundles.ts";
import { readEveryPage, wholePage } from "../statements/children.ts";
import { textOf, type Reader, type StatementResult } from "../connections/connection.ts";
import { rowsInPlace } from "../statements/fragments.ts";
import { isGuardFailure } from "../errors/symptoms.ts";
import {
  filterArguments,
  filterShape,
  positionArguments,
  positionOf,
} from "../statements/run-filters.ts";
import { newerArguments } from "../statements/bundles.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { addInputs } from "./step-inputs.ts";
import { readRows, type StoreContext } from "./context.ts";

type Rows = readonly (readonly unknown[])[];

/** The rows of some runs, and those of each child table. */
interface BundleRows {
  readonly runs: Rows;
  readonly children: readonly Rows[];
}

/** The cells of a row of `sizes`. */
const sizeProperties = ["runId", "createdAt"] as const;

/** Bundles that travel in one batch: as many as have this many statements together. */
const maxStatementsPerBatch = 500;

interface BundlePlan {
  readonly bundle: RunBundle;
  readonly statements: readonly BoundStatement[];
}

export function createBundleOperations(context: StoreContext): BundleStore {
  const { connection, codecs, statements, perform } = context;
  const { children: byTable } = statements;
  const childReaders = [byTable.steps, byTable.attempts, byTable.outputs, byTable.state];
  const runIdIndex = codecs.run.properties.indexOf("runId");

  async function readPage(query: ParsedRunQuery): Promise<BundlePage> {
    const shape = { ...filterShape(query), order: "oldest first" } as const;
    const sizes = await readRows(
      connection,
      statements.lists.sizes({ ...shape, continued: query.after !== null }).bind({
        ...filterArguments(query),
        ...positionArguments(query.after),
        limit: query.limit + 1,
      }),
    );
    const page = sizes.slice(
      0,
      Math.min(query.limit, countWithinPage(sizes.map((row) => Number(row.at(-1))))),
    );
    const { bundles, corrupt } =
      page.length === 0 ? { bundles: [], corrupt: [] } : await readRuns(query, page);
    const last = page.at(-1);
    return {
      bundles,
      corrupt,
      nextCursor:
        last !== undefined && page.length < sizes.length
          ? nextBundleCursor(query, positionOf(sizeProperties, last))
          : null,
    };
  }

  /** The bundles of these rows of `sizes`, each as it was at one moment: those that still fit the filter. */
  async function readRuns(
    query: ParsedRunQuery,
    page: StatementResult["rows"],
  ): Promise<Pick<BundlePage, "bundles" | "corrupt">> {
    const runIds = page.flatMap(([runId]) => (typeof runId === "string" ? [runId] : []));
    const unnamed = page.filter(([runId]) => typeof runId !== "string");
    const isLarge = page.length === 1 && Number(page[0]?.at(-1)) > pageBytes;
    const rows =
      (isLarge ? null : await readTogether(query, runIds)) ??
      (await connection.snapshot((reader) => readOneByOne(reader, query, runIds)));
    const { bundles, corrupt } = decodeBundles(rows);
    for (const [runId] of unnamed) {
      const key = { run_id: typeof runId === "number" ? String(runId) : typeof runId };
      corrupt.push(new CorruptRowError({ table: codecs.run.table, key, column: "run_id" }));
    }
    return { bundles, corrupt };
  }

  /** All rows of the runs, where one answer can hold them; null where it cannot. */
  async function readTogether(
    query: ParsedRunQuery,
    runIds: readonly string[],
  ): Promise<BundleRows | null> {
    const readers = childReaders.map((children) => children.page(runIds));
    const [listed, ...results] = await connection.read([listOfRuns(query, runIds), ...readers]);
    const { rows, found } = rowsInPlace(listed?.rows ?? []);
    const children = results.map(wholePage);
    return rows.length === found && children.every((part) => part !== null)
      ? { runs: rows, children }
      : null;
  }

  /** All rows of the runs, in as many answers as they need. `reader` is of one snapshot. */
  async function readOneByOne(
    reader: Reader,
    query: ParsedRunQuery,
    runIds: readonly string[],
  ): Promise<BundleRows> {
    const runs: (readonly unknown[])[] = [];
    const all = childReaders.map((): (readonly unknown[])[] => []);
    for (const runId of runIds) {
      const [listed] = await reader.read([listOfRuns(query, [runId])]);
      for (const row of listed?.rows ?? []) runs.push(row);
      for (const [index, children] of childReaders.entries()) {
        const rows = await readEveryPage(reader, children, [runId]);
        for (const row of rows) all[index]?.push(row);
      }
    }
    return { runs, children: all };
  }

  function listOfRuns(query: ParsedRunQuery, runIds: readonly string[]): BoundStatement {
    const named = { ...query, runIds };
    return statements.lists
      .list({
        ...filterShape(named),
        properties: codecs.run.properties,
        order: "oldest first",
        continued: false,
      })
      .bind({ ...filterArguments(named), ...positionArguments(null), limit: runIds.length });
  }

  function decodeBundles({ runs, children }: BundleRows): Pick<BundlePage, "bundles" | "corrupt"> {
    const [stepsOf, attemptsOf, outputsOf, stateOf] = children.map(groupByRun);
    const bundles: RunBundle[] = [];
    const corrupt: CorruptRowError[] = [];
    for (const row of runs) {
      const runId = textOf(row[runIdIndex]);
      try {
        bundles.push({
          run: codecs.run.decodeCells(codecs.run.properties, row),
          steps: addInputs(
            codecs,
            decodeAll(codecs.step, stepsOf?.get(runId)).toSorted(compareSteps),
            outputsOf?.get(runId) ?? [],
          ),
          attempts: decodeAll(codecs.attempt, attemptsOf?.get(runId)),
          outputs: decodeAll(codecs.output, outputsOf?.get(runId)),
          state: decodeAll(codecs.state, stateOf?.get(runId)),
        });
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        corrupt.push(error);
      }
    }
    return { bundles, corrupt };
  }

  /** What stores one bundle, and the guards that undo it if the run is taken or a trigger left a row out. */
  function plan(bundle: RunBundle, replace: boolean, keepNewer: boolean): BoundStatement[] {
    const { put, deleteOthers, exists, putRun } = statements.bundles;
    const { steps, attempts, outputs, state } = bundle;
    const run = codecs.run.encode(bundle.run);
    const { runId } = run;
    const others = (list: readonly unknown[]) => ({ runId, keys: JSON.stringify(list) });
    return [
      ...(replace
        ? [
            exists.bind({ runId }),
            ...(keepNewer ? [statements.guards.notNewer.bind(newerArguments(bundle, run))] : []),
            putRun.bind(run),
            statements.guards.changed.bind({}),
          ]
        : [statements.runs.insert.bind(run), statements.guards.changed.bind({})]),
      ...(replace
        ? [
            deleteOthers.steps.bind(others(steps.map(({ stepId }) => stepId))),
            deleteOthers.attempts.bind(
              others(attempts.map(({ stepId, attempt }) => [stepId, attempt])),
            ),
            deleteOthers.outputs.bind(others(outputs.map(({ stepId }) => stepId))),
            deleteOthers.state.bind(others(state.map(({ key }) => key))),
          ]
        : []),
      ...steps.map((step) => put.step.bind(codecs.step.encode(step))),
      ...attempts.map((attempt) => put.attempt.bind(codecs.attempt.encode(attempt))),
      ...outputs.map((output) => put.output.bind(codecs.output.encode(output))),
      ...state.map((entry) => put.state.bind(codecs.state.encode(entry))),
      ...(steps.length + attempts.length + outputs.length + state.length === 0
        ? []
        : [
            statements.guards.whole.bind({
              runId,
              steps: steps.length,
              attempts: attempts.length,
              outputs: outputs.length,
              state: state.length,
            }),
          ]),
    ];
  }

  /** Stores the plans, all or none. @throws {ConstraintError} of a guard. */
  async function store(
    plans: readonly (readonly BoundStatement[])[],
    signal: AbortSignal | undefined,
  ): Promise<readonly StatementResult[]> {
    const all = plans.flat();
    if (connection.writeGuarded !== undefined) return connection.writeGuarded(all, { signal });
    // Inside a transaction a failing guard undoes nothing; a savepoint does.
    return connection.transaction((savepoint) => savepoint.write(all));
  }

  /**
   * Why a guard stopped a bundle: null if a newer run stays, undefined if it was none of the store's own rules.
   */
  async function conflictOf(
    bundle: RunBundle,
    replace: boolean,
    keepNewer: boolean,
  ): Promise<RunAlreadyExistsError | null | undefined> {
    const run = codecs.run.encode(bundle.run);
    const { runId, workflowId, idempotencyKey } = run;
    const newer = statements.bundles.newer.bind(newerArguments(bundle, run));
    if (keepNewer && (await readRows(connection, newer)).length > 0) return null;
    const rows = await readRows(
      connection,
      statements.runs.findHolders.bind({ runId, workflowId, idempotencyKey }),
    );
    const existing = rows.find(([id]) => id === runId);
    const holder = rows.find(([id]) => id !== runId);
    if (existing !== undefined && !replace)
      return new RunAlreadyExistsError({ runId: bundle.run.runId });
    if (holder === undefined) return undefined;
    return new RunAlreadyExistsError({
      runId: bundle.run.runId,
      heldBy: textOf(holder[0]),
      idempotencyKey: bundle.run.idempotencyKey,
    });
  }

  async function write(
    plans: readonly BundlePlan[],
    onConflict: "fail" | "skip" | "replace",
    keepNewer: boolean,
    signal: AbortSignal | undefined,
  ): Promise<WriteBundlesReport> {
    const replace = onConflict === "replace";
    const report = { written: 0, skipped: 0, replaced: 0 };
    const count = (part: readonly BundlePlan[], results: readonly StatementResult[]) => {
      let start = 0;
      for (const planned of part) {
        if (replace && (results[start]?.rows.length ?? 0) > 0) report.replaced++;
        else report.written++;
        start += planned.statements.length;
      }
    };
    for (const part of partsOf(plans)) {
      try {
        count(
          part,
          await store(
            part.map((planned) => planned.statements),
            signal,
          ),
        );
      } catch (error) {
        if (!isGuardFailure(error)) throw error;
        // A guard stopped one of them. One by one tells which.
        for (const planned of part) {
          try {
            count([planned], await store([planned.statements], signal));
          } catch (cause) {
            if (!isGuardFailure(cause)) throw cause;
            const conflict = await conflictOf(planned.bundle, replace, keepNewer);
            if (conflict === undefined) throw new ConstraintError({ kind: "trigger" }, { cause });
            if (conflict !== null && onConflict !== "skip") throw conflict;
            report.skipped++;
          }
        }
      }
    }
    return report;
  }

  return {
    async readBundles(query = {}) {
      const parsed = parseBundleQuery(query);
      return perform(parsed.signal, () => readPage(parsed));
    },

    async writeBundles(bundles, options) {
      const { onConflict, keepNewer = false, signal } = parseWriteBundlesOptions(options);
      const keeps = keepNewer && onConflict === "replace";
      // Everything is encoded, and so checked and copied, before anything is awaited.
      const plans = parseBundles(bundles).map((bundle) => ({
        bundle,
        statements: plan(bundle, onConflict === "replace", keeps),
      }));
      return perform(signal, () => write(plans, onConflict, keeps, signal));
    },
  };
}

function decodeAll<Row>(codec: RowCodec<Row>, rows: Rows = []): Row[] {
  return rows.map((cells) => codec.decodeCells(codec.properties, cells) as Row);
}

/** The rows of each run. Every child table's first column is `run_id`. */
function groupByRun(rows: readonly (readonly unknown[])[]): Map<string, (readonly unknown[])[]> {
  const groups = new Map<string, (readonly unknown[])[]>();
  for (const row of rows) {
    const runId = textOf(row[0]);
    const group = groups.get(runId);
    if (group === undefined) groups.set(runId, [row]);
    else group.push(row);
  }
  return groups;
}

function partsOf<Plan extends { readonly statements: readonly unknown[] }>(
  plans: readonly Plan[],
): Plan[][] {
  const parts: Plan[][] = [];
  let size = 0;
  for (const plan of plans) {
    const part = parts.at(-1);
    if (part === undefined || size + plan.statements.length > maxStatementsPerBatch) {
      parts.push([plan]);
      size = 0;
    } else {
      part.push(plan);
    }
    size += plan.statements.length;
  }
  return parts;
}
