import {
  GorkflowError,
  RunAlreadyExistsError,
  SchemaOutOfDateError,
  SchemaTooNewError,
  StoreClosedError,
  StoreConnectionError,
} from "../errors.ts";
import { writtenUntil, type RunBundle } from "../model/bundles.ts";
import type { WriteBundlesOptions, WriteBundlesReport } from "../store/bundles.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlesById } from "./bundle-pages.ts";
import { differenceOf } from "./compare-bundles.ts";

/** True if the store accepts nothing at the moment: the same call may succeed later. */
export function isOutage(error: unknown): boolean {
  return (
    error instanceof GorkflowError &&
    (error.retryable ||
      error instanceof StoreClosedError ||
      error instanceof SchemaOutOfDateError ||
      error instanceof SchemaTooNewError)
  );
}

/** True if the store rejected the run that it was given, and may accept others. */
export function isRefusal(error: unknown): error is GorkflowError {
  return (
    error instanceof GorkflowError && !isOutage(error) && !(error instanceof StoreConnectionError)
  );
}

/** True if a write that failed may have taken effect, or may do so later. */
export function isAnswerLost(error: unknown): boolean {
  return error instanceof StoreConnectionError && error.outcome === "unknown";
}

/**
 * Stores bundles together and, if the store refuses them, one by one. Calls `onRefused` for each bundle that the store
 * does not accept; an error that it throws ends the call. An error that does not say whether the run or the store is
 * at fault counts as a refusal if the store accepts another run.
 *
 * @throws {RunAlreadyExistsError} with `fail` at the first run that exists.
 * @throws the store's error if it prevents every run from being stored.
 */
export async function storeBundles(
  store: WorkflowStore,
  bundles: readonly RunBundle[],
  options: WriteBundlesOptions,
  onRefused: (bundle: RunBundle, error: unknown) => void,
): Promise<WriteBundlesReport> {
  const endsCall = (error: unknown): boolean =>
    isOutage(error) ||
    options.signal?.aborted === true ||
    (options.onConflict === "fail" && isThere(error));
  let report: WriteBundlesReport;
  try {
    return await store.writeBundles(bundles, options);
  } catch (error) {
    if (endsCall(error) || (bundles.length < 2 && !isRefusal(error))) throw error;
    report = writtenUntil(error);
  }
  const left = bundles.slice(report.written + report.skipped + report.replaced);
  // A store that does not tell may have stored the bundles before the one that was refused.
  const isStored = async (bundle: RunBundle): Promise<boolean> => {
    const { runId } = bundle.run;
    const { bundles: stored } = await bundlesById(store, [runId], options.signal);
    return differenceOf(runId, bundle, stored.get(runId)) === null;
  };
  const unclear: [RunBundle, unknown][] = [];
  for (const bundle of left) {
    try {
      report = sumOf(report, await store.writeBundles([bundle], options));
    } catch (error) {
      if (isThere(error) && (await isStored(bundle))) report = sumOf(report, { written: 1 });
      else if (endsCall(error)) throw error;
      else if (isRefusal(error)) onRefused(bundle, error);
      else unclear.push([bundle, error]);
    }
  }
  const [first] = unclear;
  if (first !== undefined && unclear.length === bundles.length) throw first[1];
  for (const [bundle, error] of unclear) onRefused(bundle, error);
  return report;
}

/** The sum of two reports. */
export function sumOf(
  a: WriteBundlesReport,
  { written = 0, skipped = 0, replaced = 0 }: Partial<WriteBundlesReport>,
): WriteBundlesReport {
  return {
    written: a.written + written,
    skipped: a.skipped + skipped,
    replaced: a.replaced + replaced,
  };
}

/** True if the run itself exists, false if another run holds its idempotency key. */
function isThere(error: unknown): boolean {
  return error instanceof RunAlreadyExistsError && error.heldBy === null;
}
