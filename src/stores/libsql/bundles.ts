import { CorruptRowError, RunAlreadyExistsError } from "../../errors.ts";
import { compareSteps, parseBundles, type RunBundle } from "../../model/bundles.ts";
import { parseWriteBundlesOptions } from "../../model/options.ts";
import { countWithinPage, nextBundleCursor, parseBundleQuery } from "../../model/run-queries.ts";
import type { BundlePage, BundleStore, WriteBundlesReport } from "../../store/bundles.ts";
import { readChildren } from "./child-statements.ts";
import { GuardFailedError, type StatementResult, textOf } from "./connection.ts";
import { isGuardFailure } from "./driver-symptoms.ts";
import { filterArguments, filterShape, positionArguments, positionOf } from "./run-filters.ts";
import type { BoundStatement } from "./statement.ts";
import { readRows, type StoreContext } from "./store-context.ts";

/** Bundles that travel in one batch: as many as have this many statements together. */
const maxStatementsPerBatch = 500;

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

  /** What stores one bundle, and the guard that keeps it from mixing with a run that is there. */
  function plan(bundle: RunBundle, replace: boolean): BoundStatement[] {
    const { runId } = bundle.run;
    return [
      ...(replace ? [statements.runs.delete.bind({ runId })] : []),
      statements.runs.insert.bind(codecs.run.encode(bundle.run)),
      statements.guards.changed.bind({}),
      ...bundle.steps.map((step) => statements.steps.insert.bind(codecs.step.encode(step))),
      ...bundle.attempts.map((attempt) =>
        statements.attempts
          .save({ fenced: false })
          .bind({ ...codecs.attempt.encode(attempt), whereWorkerId: null }),
      ),
      ...bundle.outputs.map((output) =>
        statements.outputs.insert.bind(codecs.output.encode(output)),
      ),
      ...bundle.state.map((entry) => statements.state.insert.bind(codecs.state.encode(entry))),
    ];
  }

  /** Stores the plans, all or none. @throws {GuardFailedError} */
  async function store(plans: readonly BoundStatement[][]): Promise<readonly StatementResult[]> {
    const all = plans.flat();
    if (connection.writeGuarded !== null) return connection.writeGuarded(all);
    // Inside a transaction a failing guard undoes nothing; a savepoint does.
    return connection.transaction(async (savepoint) => {
      try {
        return await savepoint.write(all);
      } catch (error) {
        if (isGuardFailure(error)) throw new GuardFailedError();
        throw error;
      }
    });
  }

  async function write(
    bundles: readonly RunBundle[],
    onConflict: "fail" | "skip" | "replace",
  ): Promise<WriteBundlesReport> {
    const replace = onConflict === "replace";
    // Everything is encoded, and so checked, before anything is written.
    const plans = bundles.map((bundle) => ({ bundle, statements: plan(bundle, replace) }));
    const report = { written: 0, skipped: 0, replaced: 0 };
    const count = (part: typeof plans, results: readonly StatementResult[]) => {
      let start = 0;
      for (const planned of part) {
        if (replace && (results[start]?.changes ?? 0) > 0) report.replaced++;
        else report.written++;
        start += planned.statements.length;
      }
    };
    for (const part of partsOf(plans)) {
      try {
        count(part, await store(part.map((planned) => planned.statements)));
      } catch (error) {
        if (!(error instanceof GuardFailedError)) throw error;
        // One run of the part was there. One by one tells which.
        for (const planned of part) {
          try {
            count([planned], await store([planned.statements]));
          } catch (cause) {
            if (!(cause instanceof GuardFailedError)) throw cause;
            if (onConflict !== "skip") {
              throw new RunAlreadyExistsError({ runId: planned.bundle.run.runId });
            }
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
      const { onConflict, signal } = parseWriteBundlesOptions(options);
      const parsed = parseBundles(bundles);
      return perform(signal, () => write(parsed, onConflict));
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
