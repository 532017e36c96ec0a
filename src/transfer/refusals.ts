import {
  GorkflowError,
  RunAlreadyExistsError,
  SchemaOutOfDateError,
  SchemaTooNewError,
  StoreClosedError,
  StoreConnectionError,
} from "../errors.ts";
import type { RunBundle } from "../model/bundles.ts";
import type { WriteBundlesOptions, WriteBundlesReport } from "../store/bundles.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { bundlesById } from "./bundle-pages.ts";
import { differenceOf } from "./compare-bundles.ts";

/** The store takes nothing now: the same call may succeed later. */
export function isOutage(error: unknown): boolean {
  return (
    error instanceof GorkflowError &&
    (error.retryable ||
      error instanceof StoreClosedError ||
      error instanceof SchemaOutOfDateError ||
      error instanceof SchemaTooNewError)
  );
}

/** The store refused what it was given, and may take other runs. */
export function isRefusal(error: unknown): error is GorkflowError {
  return (
    error instanceof GorkflowError && !isOutage(error) && !(error instanceof StoreConnectionError)
  );
}

/**
 * Stores bundles together and, when the store refuses them, one by one. `onRefused` hears of each one that the store
 * does not take; what it throws ends the call.
 *
 * An error that does not say whose fault it is counts as a refusal of one run if the store takes another one.
 *
 * @throws {RunAlreadyExistsError} with `fail` at the first run that is there.
 * @throws what keeps the store from taking any of them.
 */
export async function storeBundles(
  store: WorkflowStore,
  bundles: readonly RunBundle[],
  options: WriteBundlesOptions,
  onRefused: (bundle: RunBundle, error: unknown) => void,
): Promise<WriteBundlesReport> {
  const mustStop = (error: unknown): boolean =>
    isOutage(error) ||
    options.signal?.aborted === true ||
    (options.onConflict === "fail" && isThere(error));
  try {
    return await store.writeBundles(bundles, options);
  } catch (error) {
    if (mustStop(error) || (bundles.length < 2 && !isRefusal(error))) throw error;
  }
  const report = { written: 0, skipped: 0, replaced: 0 };
  const unclear: [RunBundle, unknown][] = [];
  for (const bundle of bundles) {
    try {
      const { written, skipped, replaced } = await store.writeBundles([bundle], options);
      report.written += written;
      report.skipped += skipped;
      report.replaced += replaced;
    } catch (error) {
      // The call for all of them may have stored those before the offending one.
      if (isThere(error) && (await isStored(store, bundle, options.signal))) report.written++;
      else if (mustStop(error)) throw error;
      else if (isRefusal(error)) onRefused(bundle, error);
      else unclear.push([bundle, error]);
    }
  }
  const [first] = unclear;
  if (first !== undefined && unclear.length === bundles.length) throw first[1];
  for (const [bundle, error] of unclear) onRefused(bundle, error);
  return report;
}

/** The run is there, as opposed to another one that holds its idempotency key. */
function isThere(error: unknown): boolean {
  return error instanceof RunAlreadyExistsError && error.heldBy === null;
}

async function isStored(
  store: WorkflowStore,
  bundle: RunBundle,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { runId } = bundle.run;
  const { bundles } = await bundlesById(store, [runId], { signal });
  return differenceOf(runId, bundle, bundles.get(runId) ?? null) === null;
}
