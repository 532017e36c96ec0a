import { RunAlreadyExistsError } from "../../errors.ts";
import { attemptKey, isNewerBundle, type RunBundle } from "../../model/bundles.ts";
import type { parseWriteBundlesOptions } from "../../model/options.ts";
import { rowCodecs as codecs } from "../../schema/row-codecs.ts";
import type { WriteBundlesReport } from "../../store/bundles.ts";
import { readBundle } from "./reads.ts";
import type { Tables } from "./tables.ts";

/** Encodes the bundles, and returns the function that writes them. */
export function writeBundles(
  bundles: readonly RunBundle[],
  { onConflict, keepNewer }: ReturnType<typeof parseWriteBundlesOptions>,
): (tables: Tables) => WriteBundlesReport {
  const encoded = bundles.map((bundle) => ({ bundle, rows: encodeBundle(bundle) }));
  return (tables) => {
    const report = { written: 0, skipped: 0, replaced: 0 };
    for (const { bundle, rows } of encoded) {
      const { runId, idempotencyKey } = bundle.run;
      const existing = tables.getRun(runId);
      const isThere = existing !== undefined && onConflict !== "replace";
      const heldBy = isThere ? null : keyHolder(tables, bundle.run);
      const isTaken = isThere || heldBy !== null;
      if (isTaken && onConflict !== "skip") {
        const key = heldBy === null ? null : idempotencyKey;
        throw new RunAlreadyExistsError({ runId, heldBy, idempotencyKey: key });
      }
      const isKept =
        existing !== undefined && keepNewer && isNewerBundle(readBundle(tables, existing), bundle);
      if (isTaken || isKept) {
        report.skipped++;
        continue;
      }
      tables.deleteRun(runId);
      tables.putRun(rows.run);
      for (const [key, row] of rows.steps) tables.changeableChildren("steps", runId).set(key, row);
      for (const [key, row] of rows.attempts) {
        tables.changeableChildren("attempts", runId).set(key, row);
      }
      for (const [key, row] of rows.outputs) {
        tables.changeableChildren("outputs", runId).set(key, row);
      }
      for (const [key, row] of rows.state) tables.changeableChildren("state", runId).set(key, row);
      report[existing === undefined ? "written" : "replaced"]++;
    }
    return report;
  };
}

/** The other run that has the run's idempotency key; null if there is none. */
function keyHolder(tables: Tables, run: RunBundle["run"]): string | null {
  if (run.idempotencyKey === null) return null;
  const holder = tables.findByIdempotencyKey(run.workflowId, run.idempotencyKey);
  return holder === undefined || holder.runId === run.runId ? null : holder.runId;
}

function encodeBundle({ run, steps, attempts, outputs, state }: RunBundle) {
  return {
    run: codecs.run.encode(run),
    steps: steps.map((row) => [row.stepId, codecs.steps.encode(row)] as const),
    attempts: attempts.map((row) => [attemptKey(row), codecs.attempts.encode(row)] as const),
    outputs: outputs.map((row) => [row.stepId, codecs.outputs.encode(row)] as const),
    state: state.map((row) => [row.key, codecs.state.encode(row)] as const),
  };
}
