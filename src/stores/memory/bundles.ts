import { RunAlreadyExistsError } from "../../errors.ts";
import { attemptKey, isNewerBundle, parseBundles, type RunBundle } from "../../model/bundles.ts";
import { compareText } from "../../model/cursors.ts";
import { parseWriteBundlesOptions } from "../../model/options.ts";
import {
  bundleRowBytes,
  countWithinPage,
  nextBundleCursor,
  parseBundleQuery,
} from "../../model/run-queries.ts";
import { rowCodecs } from "../../schema/row-codecs.ts";
import { jsonRunColumns } from "../../schema/rows.ts";
import type { BundleStore } from "../../store/bundles.ts";
import { attemptsOf } from "./attempts.ts";
import { jsonBytesOf, scanPage } from "./runs.ts";
import { stepsOf } from "./steps.ts";
import type { StoreContext } from "./store-context.ts";
import { positionOf, textOf, type ChildRows, type RunRow, type Tables } from "./tables.ts";

export function createBundleOperations({ read, write }: StoreContext): BundleStore {
  return {
    async readBundles(query = {}) {
      const parsed = parseBundleQuery(query);
      return read(parsed.signal, (tables) => {
        const { rows, more } = scanPage(tables, parsed, "oldest first");
        const page = rows.slice(0, countWithinPage(rows.map((run) => pageBytesOf(tables, run))));
        const last = page.at(-1);
        const continues = last !== undefined && (more || page.length < rows.length);
        return {
          bundles: page.map((run) => readBundle(tables, run)),
          corrupt: [],
          nextCursor: continues ? nextBundleCursor(parsed, positionOf(last)) : null,
        };
      });
    },

    async writeBundles(bundles, options) {
      const { onConflict, keepNewer = false, signal } = parseWriteBundlesOptions(options);
      const given = parseBundles(bundles).map((bundle) => ({ bundle, rows: encodeBundle(bundle) }));
      return write(signal, (tables) => {
        const report = { written: 0, skipped: 0, replaced: 0 };
        for (const { bundle, rows } of given) {
          const { runId, idempotencyKey } = bundle.run;
          const existing = tables.getRun(runId);
          const isThere = existing !== undefined && onConflict !== "replace";
          const heldBy = isThere ? null : keyHolder(tables, rows.run);
          const isTaken = isThere || heldBy !== null;
          if (isTaken && onConflict !== "skip") {
            throw new RunAlreadyExistsError({
              runId,
              heldBy,
              idempotencyKey: heldBy === null ? null : idempotencyKey,
            });
          }
          const isKept =
            existing !== undefined &&
            keepNewer &&
            isNewerBundle(readBundle(tables, existing), bundle);
          if (isTaken || isKept) {
            report.skipped++;
            continue;
          }
          writeBundle(tables, rows);
          if (existing !== undefined) report.replaced++;
          else report.written++;
        }
        return report;
      });
    },
  };
}

/** The other run that holds the run's idempotency key; null if none does. */
function keyHolder(tables: Tables, run: RunRow): string | null {
  if (run.idempotencyKey === null) return null;
  const holder = tables.findByIdempotencyKey(textOf(run.workflowId), textOf(run.idempotencyKey));
  return holder === undefined || holder.runId === run.runId ? null : textOf(holder.runId);
}

function encodeBundle({ run, steps, attempts, outputs, state }: RunBundle) {
  return {
    run: rowCodecs.run.encode(run),
    steps: steps.map((step) => rowCodecs.step.encode(step)),
    attempts: attempts.map((attempt): [string, ChildRows["attempts"]] => [
      attemptKey(attempt),
      rowCodecs.attempt.encode(attempt),
    ]),
    outputs: outputs.map((output) => rowCodecs.output.encode(output)),
    state: state.map((entry) => rowCodecs.state.encode(entry)),
  };
}

function writeBundle(tables: Tables, bundle: ReturnType<typeof encodeBundle>): void {
  const runId = textOf(bundle.run.runId);
  tables.deleteRun(runId);
  tables.putRun(bundle.run);
  for (const row of bundle.steps) tables.putChild("steps", runId, textOf(row.stepId), row);
  for (const [key, row] of bundle.attempts) tables.putChild("attempts", runId, key, row);
  for (const row of bundle.outputs) tables.putChild("outputs", runId, textOf(row.stepId), row);
  for (const row of bundle.state) tables.putChild("state", runId, textOf(row.key), row);
}

function inKeyOrder<Row>(rows: Iterable<[string, Row]>): Row[] {
  return [...rows].toSorted(([a], [b]) => compareText(a, b)).map(([, row]) => row);
}

function readBundle(tables: Tables, run: RunRow): RunBundle {
  const runId = textOf(run.runId);
  return {
    run: rowCodecs.run.decode(run),
    steps: stepsOf(tables, runId),
    attempts: attemptsOf(tables, runId),
    outputs: inKeyOrder(tables.children("outputs", runId)).map((row) =>
      rowCodecs.output.decode(row),
    ),
    state: inKeyOrder(tables.children("state", runId)).map((row) => rowCodecs.state.decode(row)),
  };
}

/** What a run counts for in a page of bundles. */
function pageBytesOf(tables: Tables, run: RunRow): number {
  const { total, steps, attempts, outputs, state } = bytesOf(tables, run);
  return total + (steps + attempts + outputs + state) * bundleRowBytes;
}

/** How many children of each kind a run has, and the bytes of JSON in all of its rows. */
export function bytesOf(tables: Tables, run: RunRow) {
  const runId = textOf(run.runId);
  const steps = [...tables.children("steps", runId)];
  const attempts = [...tables.children("attempts", runId)];
  const outputs = [...tables.children("outputs", runId)];
  const state = [...tables.children("state", runId)];
  let total = jsonBytesOf(run, jsonRunColumns);
  for (const [, row] of steps) total += jsonBytesOf(row, ["input", "inputFrom", "error"]);
  for (const [, row] of attempts) total += jsonBytesOf(row, ["error"]);
  for (const [, row] of outputs) total += jsonBytesOf(row, ["output"]);
  for (const [, row] of state) total += jsonBytesOf(row, ["value"]);
  return {
    steps: steps.length,
    attempts: attempts.length,
    outputs: outputs.length,
    state: state.length,
    total,
  };
}
