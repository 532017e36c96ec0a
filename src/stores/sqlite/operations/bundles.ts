import { ConstraintError, CorruptRowError, RunAlreadyExistsError } from "../../../errors.ts";
import { compareSteps, noteWritten, type RunBundle } from "../../../model/bundles.ts";
import type { parseWriteBundlesOptions } from "../../../model/options.ts";
import {
  countWithinPage,
  nextCursor,
  pageBytes,
  type ParsedRunQuery,
} from "../../../model/run-queries.ts";
import type { RowCodec } from "../../../schema/row-codec.ts";
import type { BundlePage, WriteBundlesReport } from "../../../store/bundles.ts";
import { undecidedError } from "../../undecided-error.ts";
import { textOf, type Queries, type StatementResult } from "../connections/connection.ts";
import { isGuardFailure } from "../errors/symptoms.ts";
import { keysOf, newerArguments } from "../statements/bundles.ts";
import { readEveryPage, wholePage } from "../statements/children.ts";
import { rowsInPlace } from "../statements/pages.ts";
import { listArguments, positionOf } from "../statements/run-filters.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { readRows, type StoreContext } from "./context.ts";
import { decodeReadable } from "./runs.ts";
import { addInputs } from "./steps.ts";

type Rows = readonly (readonly unknown[])[];
type Bundles = Pick<BundlePage, "bundles" | "corrupt">;

/** The rows of some runs and of their children. */
interface BundleRows {
  readonly runs: Rows;
  readonly steps: Rows;
  readonly attempts: Rows;
  readonly outputs: Rows;
  readonly state: Rows;
}

/** The cells of a row of `sizes`. */
const sizeProperties = ["runId", "createdAt"] as const;

/** The maximum number of statements of bundles that are sent together, unless one bundle has more. */
const maxStatementsPerBatch = 500;

export async function readPage(context: StoreContext, query: ParsedRunQuery): Promise<BundlePage> {
  const { connection, statements } = context;
  const statement = statements.lists.sizes(query).bind(listArguments(query));
  const sizes = await readRows(connection, statement);
  const count = countWithinPage(sizes.map((row) => Number(row.at(-1))));
  const page = sizes.slice(0, Math.min(query.limit, count));
  const last = page.at(-1);
  if (last === undefined) return { bundles: [], corrupt: [], nextCursor: null };
  const cursor =
    page.length < sizes.length
      ? nextCursor("bundles", query, positionOf(sizeProperties, last))
      : null;
  return { ...(await readRuns(context, query, page)), nextCursor: cursor };
}

/** The bundles of these rows of `sizes` that still match the filter, each of one snapshot. */
async function readRuns(
  context: StoreContext,
  query: ParsedRunQuery,
  page: StatementResult["rows"],
): Promise<Bundles> {
  const { connection, codecs } = context;
  const runIds = page.flatMap(([runId]) => (typeof runId === "string" ? [runId] : []));
  const isLarge = page.length === 1 && Number(page[0]?.at(-1)) > pageBytes;
  const rows =
    (isLarge ? null : await readTogether(context, query, runIds)) ??
    (await connection.snapshot(() => readOneByOne(context, query, runIds)));
  const { bundles, corrupt } = decodeBundles(context, rows);
  for (const [runId] of page) {
    if (typeof runId === "string") continue;
    const key = { run_id: typeof runId === "number" ? String(runId) : typeof runId };
    corrupt.push(new CorruptRowError({ table: codecs.run.table, key, column: "run_id" }));
  }
  return { bundles, corrupt };
}

/** All rows of the runs in one response; null if they do not fit. */
async function readTogether(
  context: StoreContext,
  query: ParsedRunQuery,
  runIds: readonly string[],
): Promise<BundleRows | null> {
  const { steps, attempts, outputs, state } = context.statements.children;
  const [listed, ...results] = await context.connection.read([
    listOfRuns(context, query, runIds),
    ...[steps, attempts, outputs, state].map((children) => children.page({ runIds })),
  ]);
  const { rows: runs, found } = rowsInPlace(listed?.rows ?? []);
  const children = results.map(wholePage).flatMap((rows) => (rows === null ? [] : [rows]));
  if (runs.length !== found || children.length !== results.length) return null;
  const [stepRows = [], attemptRows = [], outputRows = [], stateRows = []] = children;
  return { runs, steps: stepRows, attempts: attemptRows, outputs: outputRows, state: stateRows };
}

/** Returns all rows of the runs, which are read in as many responses as needed. */
function* readOneByOne(
  context: StoreContext,
  query: ParsedRunQuery,
  runIds: readonly string[],
): Queries<BundleRows> {
  const { steps, attempts, outputs, state } = context.statements.children;
  const runs: (readonly unknown[])[] = [];
  for (const runId of runIds) {
    const [found] = yield [listOfRuns(context, query, [runId])];
    for (const row of found?.rows ?? []) runs.push(row);
  }
  return {
    runs,
    steps: yield* readEveryPage(steps, { runIds }),
    attempts: yield* readEveryPage(attempts, { runIds }),
    outputs: yield* readEveryPage(outputs, { runIds }),
    state: yield* readEveryPage(state, { runIds }),
  };
}

function listOfRuns(
  { codecs, statements }: StoreContext,
  filter: ParsedRunQuery,
  runIds: readonly string[],
): BoundStatement {
  const query = { ...filter, runIds, after: null, limit: runIds.length };
  return statements.lists
    .list({ query, order: "oldest first", properties: codecs.run.properties })
    .bind(listArguments(query));
}

function decodeBundles({ codecs }: StoreContext, rows: BundleRows): Bundles {
  const runIdIndex = codecs.run.properties.indexOf("runId");
  const steps = groupByRun(rows.steps);
  const attempts = groupByRun(rows.attempts);
  const outputs = groupByRun(rows.outputs);
  const state = groupByRun(rows.state);
  const corrupt: CorruptRowError[] = [];
  const decode = (row: readonly unknown[]): RunBundle => {
    const runId = textOf(row[runIdIndex]);
    const ownSteps = decodeRows(codecs.steps, steps.get(runId)).toSorted(compareSteps);
    return {
      run: codecs.run.decodeCells(codecs.run.properties, row),
      steps: addInputs(codecs, ownSteps, outputs.get(runId) ?? []),
      attempts: decodeRows(codecs.attempts, attempts.get(runId)),
      outputs: decodeRows(codecs.outputs, outputs.get(runId)),
      state: decodeRows(codecs.state, state.get(runId)),
    };
  };
  return { bundles: decodeReadable(rows.runs, decode, corrupt), corrupt };
}

export function decodeRows<Row>(codec: RowCodec<Row>, rows: Rows = []): Row[] {
  return rows.map((cells) => codec.decodeCells(codec.properties, cells) as Row);
}

/** The rows of each run. `run_id` is the first column of every child table. */
function groupByRun(rows: Rows): Map<string, (readonly unknown[])[]> {
  const groups = new Map<string, (readonly unknown[])[]>();
  for (const row of rows) {
    const runId = textOf(row[0]);
    const group = groups.get(runId);
    if (group === undefined) groups.set(runId, [row]);
    else group.push(row);
  }
  return groups;
}

interface BundlePlan {
  readonly bundle: RunBundle;
  readonly statements: readonly BoundStatement[];
}

type WriteOptions = ReturnType<typeof parseWriteBundlesOptions>;

/** Encodes the bundles, and returns the function that writes them. */
export function writeBundles(
  context: StoreContext,
  bundles: readonly RunBundle[],
  options: WriteOptions,
): () => Promise<WriteBundlesReport> {
  const plans = bundles.map((bundle) => ({
    bundle,
    statements: planBundle(context, bundle, options),
  }));
  return async () => {
    const report = { written: 0, skipped: 0, replaced: 0 };
    const count = (group: readonly BundlePlan[], results: readonly StatementResult[]) => {
      let start = 0;
      for (const { statements } of group) {
        // The first statement of a replacement finds the run that exists.
        const isThere = options.onConflict === "replace" && (results[start]?.rows.length ?? 0) > 0;
        report[isThere ? "replaced" : "written"]++;
        start += statements.length;
      }
    };
    const write = async (group: readonly BundlePlan[]): Promise<void> => {
      try {
        count(group, await store(context, group, options.signal));
      } catch (error) {
        if (!isGuardFailure(error)) throw error;
        const [plan, ...others] = group;
        if (plan === undefined || others.length > 0) {
          // A guard stopped one of the bundles. Each is written alone to find which.
          for (const each of group) await write([each]);
          return;
        }
        await throwConflict(context, plan.bundle, options, error);
        report.skipped++;
      }
    };
    try {
      for (const group of groupsOf(plans)) await write(group);
    } catch (error) {
      const isPartial = report.written + report.replaced > 0;
      throw noteWritten(isPartial ? undecidedError(error) : error, report);
    }
    return report;
  };
}

/** The statements that write a bundle, with guards that fail if the run exists or a trigger left out a row. */
function planBundle(
  { codecs, statements }: StoreContext,
  bundle: RunBundle,
  { onConflict, keepNewer }: WriteOptions,
): BoundStatement[] {
  const { bundles, guards, runs } = statements;
  const { steps, attempts, outputs, state } = bundle;
  const run = codecs.run.encode(bundle.run);
  const { runId } = run;
  const changed = guards.changed.bind({});
  const rows = [
    ...steps.map((row) => bundles.steps.put.bind(codecs.steps.encode(row))),
    ...attempts.map((row) => bundles.attempts.put.bind(codecs.attempts.encode(row))),
    ...outputs.map((row) => bundles.outputs.put.bind(codecs.outputs.encode(row))),
    ...state.map((row) => bundles.state.put.bind(codecs.state.encode(row))),
  ];
  const counts = {
    steps: steps.length,
    attempts: attempts.length,
    outputs: outputs.length,
    state: state.length,
  };
  if (onConflict === "replace") rows.push(guards.replaced.bind({ runId, ...counts }));
  else if (rows.length > 0) rows.push(guards.whole.bind({ runId, ...counts }));
  if (onConflict !== "replace") return [runs.insert.bind(run), changed, ...rows];
  const keys = keysOf(bundle);
  return [
    bundles.exists.bind({ runId }),
    ...(keepNewer ? [guards.notNewer.bind(newerArguments(bundle, run))] : []),
    bundles.putRun.bind(run),
    changed,
    bundles.steps.deleteOthers.bind({ runId, keys: keys.steps }),
    bundles.attempts.deleteOthers.bind({ runId, keys: keys.attempts }),
    bundles.outputs.deleteOthers.bind({ runId, keys: keys.outputs }),
    bundles.state.deleteOthers.bind({ runId, keys: JSON.stringify(state.map(({ key }) => [key])) }),
    ...rows,
  ];
}

/** Stores the bundles, all or none. */
async function store(
  { connection }: StoreContext,
  plans: readonly BundlePlan[],
  signal: AbortSignal | undefined,
): Promise<readonly StatementResult[]> {
  const all = plans.flatMap(({ statements }) => statements);
  if (connection.writeGuarded !== undefined) return connection.writeGuarded(all, { signal });
  // Inside a transaction a failing guard rolls back nothing, but a savepoint does.
  return connection.transaction((savepoint) => savepoint.write(all));
}

/**
 * Returns if the bundle is to be skipped.
 *
 * @throws {RunAlreadyExistsError} if the run exists, or another run has its idempotency key.
 * @throws {ConstraintError} if neither is the cause, so that a trigger of the app is.
 */
async function throwConflict(
  { connection, codecs, statements }: StoreContext,
  bundle: RunBundle,
  { onConflict, keepNewer }: WriteOptions,
  cause: unknown,
): Promise<void> {
  const run = codecs.run.encode(bundle.run);
  const { runId, workflowId, idempotencyKey } = run;
  const newer = statements.bundles.newer.bind(newerArguments(bundle, run));
  if (keepNewer && (await readRows(connection, newer)).length > 0) return;
  const holders = statements.runs.findHolders.bind({ runId, workflowId, idempotencyKey });
  const rows = await readRows(connection, holders);
  const isThere = onConflict !== "replace" && rows.some(([id]) => id === runId);
  const holder = rows.find(([id]) => id !== runId);
  if (!isThere && holder === undefined) throw new ConstraintError({ kind: "trigger" }, { cause });
  if (onConflict === "skip") return;
  if (isThere) throw new RunAlreadyExistsError({ runId });
  throw new RunAlreadyExistsError({ runId, heldBy: textOf(holder?.[0]), idempotencyKey });
}

/** Groups of bundles that are written together. */
function groupsOf(plans: readonly BundlePlan[]): BundlePlan[][] {
  const groups: BundlePlan[][] = [];
  let size = Infinity;
  for (const plan of plans) {
    if (size + plan.statements.length > maxStatementsPerBatch) {
      groups.push([]);
      size = 0;
    }
    groups.at(-1)?.push(plan);
    size += plan.statements.length;
  }
  return groups;
}
