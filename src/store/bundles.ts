import type { CorruptRowError } from "../errors.ts";
import type { BundleInput, RunBundle } from "../model/bundles.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { OperationOptions } from "./options.ts";

export interface BundleQuery extends OperationOptions {
  readonly filter?: RunFilter | undefined;
  /** Only these runs, 1 to 1000 ids. Ids of missing runs are ignored. */
  readonly runIds?: readonly string[] | undefined;
  /** The maximum number of bundles in a page, 1 to 1000. Defaults to 100. */
  readonly limit?: number | undefined;
  readonly cursor?: string | null | undefined;
}

export interface BundlePage {
  /** Oldest first, so that new runs come at the end. */
  readonly bundles: RunBundle[];
  /** Continues the list. Null at the end of the list, and only there. */
  readonly nextCursor: string | null;
  /** The first unreadable cell of each run that the page lacks. */
  readonly corrupt: CorruptRowError[];
}

export interface WriteBundlesOptions extends OperationOptions {
  /** What to do if a run exists: reject, keep it, or replace it. */
  readonly onConflict: "fail" | "skip" | "replace";
  /**
   * With `replace`, keeps an existing run that has a write that the bundle lacks, and counts it as skipped: the same
   * `createdAt` and a higher `revision` or, at the same revision, a later state value, an additional step, attempt or
   * output, or the end of a step. An output that was saved again at the same revision is replaced. Defaults to false.
   */
  readonly keepNewer?: boolean | undefined;
}

export interface WriteBundlesReport {
  readonly written: number;
  readonly skipped: number;
  readonly replaced: number;
}

export interface BundleStore {
  /**
   * Returns a page of complete runs. Rows and bytes of a page are limited; a run that is larger than a page is returned
   * alone. Each bundle is a consistent snapshot of its run.
   *
   * @throws {InvalidArgumentError} if the query is invalid, or the cursor belongs to another query.
   */
  readBundles(query?: BundleQuery): Promise<BundlePage>;

  /**
   * Stores complete runs unchanged, including revisions and times. Each run is stored completely or not at all, in
   * order. Bundles from an older version may lack newer fields.
   *
   * @throws {RunAlreadyExistsError} with `fail`, at the first run that exists; the runs before it stay written. Also if
   *   another run (`heldBy`) has the same idempotency key, unless `onConflict` is `skip`.
   * @throws {InvalidArgumentError} if a field is invalid. Nothing is written.
   * @throws {InvalidValueError} if a value cannot be stored as JSON. Nothing is written.
   */
  writeBundles(
    bundles: readonly BundleInput[],
    options: WriteBundlesOptions,
  ): Promise<WriteBundlesReport>;
}
