import { ConstraintError, CorruptRowError, RunAlreadyExistsError } from "../../errors.ts";
import { compareSteps, parseBundles, type RunBundle } from "../../model/bundles.ts";
import { parseWriteBundlesOptions } from "../../model/options.ts";
import { countWithinPage, nextBundleCursor, parseBundleQuery } from "../../model/run-queries.ts";
import type { BundlePage, BundleStore, WriteBundlesReport } from "../../store/bundles.ts";
import { readChildren } from "./child-statements.ts";
import { type StatementResult, textOf } from "./connection.ts";
import { filterArguments, filterShape, positionArguments, positionOf } from "./run-filters.ts";
import type { BoundStatement } from "./statement.ts";
import { readRows, type StoreContext } from "./store-context.ts";

/** Bundles that travel in one batch: as many as have this many statements together. */
const maxStatementsPerBatch = 500;

interface BundlePlan {
  readonly bundle: RunBundle;
  readonly statements: readonly BoundStatement[];
}

export function createBundleOperations(context: StoreContext): BundleStore {
  const { connection, codecs, statements, perform } = context;

  async function readPage(query: ReturnType<typeof parseBundleQuery>): Promise<BundlePage> {
    const { properties } = codecs.run;
    const statement = statements.lists.list({
      ...filterShape(query),
      properties,
      order: "oldest first",
      continued: query.after !== null,
    });
    const candidates = await readRows(
      connection,
      statement.bind({
        ...filterArguments(query),
        ...positionArguments(query.after),
        limit: query.limit + 1,
      }),
    );
    const runIdIndex = properties.indexOf("runId");
    const fitting = candidates
      .slice(0, query.limit)
      .filter((row, index) => index === 0 || row.at(-1) === 1);
    const sizes = await sizesOf(fitting.map((row) => textOf(row[runIdIndex])));
    const page = fitting.slice(0, countWithinPage(sizes));
    const runIds = page.map((row) => textOf(row[runIdIndex]));
    const { steps, attempts, outputs, state } = statements.bundles.children;
    const children = await readChildren(connection, [steps, attempts, outputs, state], runIds);
    const [stepsOf, attemptsOf, outputsOf, stateOf] = children.map(groupByRun);

    const bundles: RunBundle[] = [];
    const corrupt: CorruptRowError[] = [];
    for (const [index, row] of page.entries()) {
      const runId = runIds[index] ?? "";
      try {
        bundles.push({
          run: codecs.run.decodeCells(properties, row),
          steps: (stepsOf?.get(runId) ?? [])
            .map((cells) => codecs.step.decodeCells(codecs.step.properties, cells))
            .toSorted(compareSteps),
          attempts: (attemptsOf?.get(runId) ?? []).map((cells) =>
            codecs.attempt.decodeCells(codecs.attempt.properties, cells),
          ),
          outputs: (outputsOf?.get(runId) ?? []).map((cells) =>
            codecs.output.decodeCells(codecs.output.properties, cells),
          ),
          state: (stateOf?.get(runId) ?? []).map((cells) =>
            codecs.state.decodeCells(codecs.state.properties, cells),
          ),
        });
      } catch (error) {
        if (!(error instanceof CorruptRowError)) throw error;
        corrupt.push(error);
      }
    }
    const last = page.at(-1);
    return {
      bundles,
      corrupt,
      nextCursor:
        last !== undefined && page.length < candidates.length
          ? nextBundleCursor(query, positionOf(codecs, properties, last))
          : null,
    };
  }

  async function sizesOf(runIds: readonly string[]): Promise<number[]> {
    if (runIds.length === 0) return [];
    const rows = await readRows(
      connection,
      statements.bundles.sizes.bind({ runIds: JSON.stringify(runIds) }),
    );
    const sizes = new Map(rows.map(([runId, bytes]) => [runId, Number(bytes)]));
    return runIds.map((runId) => sizes.get(runId) ?? 0);
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
            ...(keepNewer
              ? [
                  statements.guards.notNewer.bind({
                    runId,
                    createdAt: run.createdAt,
                    revision: run.revision,
                  }),
                ]
              : []),
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
  ): Promise<readonly StatementResult[]> {
    const all = plans.flat();
    if (connection.writeGuarded !== undefined) return connection.writeGuarded(all);
    // Inside a transaction a failing guard undoes nothing; a savepoint does.
    return connection.transaction((savepoint) => savepoint.write(all));
  }

  /**
   * Why a guard stopped a bundle: null if the run is there in a later revision that stays, and undefined if it was
   * none of the store's own rules.
   */
  async function conflictOf(
    { run }: RunBundle,
    replace: boolean,
    keepNewer: boolean,
  ): Promise<RunAlreadyExistsError | null | undefined> {
    const { runId, workflowId, idempotencyKey, createdAt } = codecs.run.encode(run);
    const rows = await readRows(
      connection,
      statements.runs.findHolders.bind({ runId, workflowId, idempotencyKey }),
    );
    const existing = rows.find(([id]) => id === runId);
    const holder = rows.find(([id]) => id !== runId);
    const isNewer = existing?.[1] === createdAt && Number(existing?.[2]) > run.revision;
    if (keepNewer && isNewer) return null;
    if (existing !== undefined && !replace) return new RunAlreadyExistsError({ runId: run.runId });
    if (holder === undefined) return undefined;
    return new RunAlreadyExistsError({
      runId: run.runId,
      heldBy: textOf(holder[0]),
      idempotencyKey: run.idempotencyKey,
    });
  }

  async function write(
    plans: readonly BundlePlan[],
    onConflict: "fail" | "skip" | "replace",
    keepNewer: boolean,
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
        count(part, await store(part.map((planned) => planned.statements)));
      } catch (error) {
        if (!statements.guards.stopped(error)) throw error;
        // A guard stopped one of them. One by one tells which.
        for (const planned of part) {
          try {
            count([planned], await store([planned.statements]));
          } catch (cause) {
            if (!statements.guards.stopped(cause)) throw cause;
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
      return perform(signal, () => write(plans, onConflict, keeps));
    },
  };
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
