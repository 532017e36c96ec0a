import type { CorruptRowError } from "../errors.ts";
import type { BundleInput, RunBundle } from "../model/bundles.ts";
import type { RunFilter } from "../model/run-queries.ts";
import type { OperationOptions } from "./options.ts";

export interface BundleQuery extends OperationOptions {
  readonly filter?: RunFilter | undefined;
  /** Of these runs, 1 to 1000, those that are there and fit the filter. */
  readonly runIds?: readonly string[] | undefined;
  /** Bundles in a page: 1 to 1000, 100 when absent. */
  readonly limit?: number | undefined;
  readonly cursor?: string | null | undefined;
}

export interface BundlePage {
  /** Oldest first, so that runs which appear while one reads come at the end. */
  readonly bundles: RunBundle[];
  /** Continues the list; null, and only null, ends it. */
  readonly nextCursor: string | null;
  /** The first unreadable cell of each run that was left out because of it. */
  readonly corrupt: CorruptRowError[];
}

export interface WriteBundlesOptions extends OperationOptions {
  /** What happens to a run that is already there: an error, nothing, or its replacement. */
  readonly onConflict: "fail" | "skip" | "replace";
  /**
   * With `replace`, a run that has a write that the bundle does not have stays, and counts as skipped: the same
   * `createdAt` and a higher `revision` or, at the same revision, a later state value, a step, attempt or output that
   * the bundle lacks, or the end of a step. An output that was saved again at the same revision is replaced. Defaults
   * to false.
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
   * A page of whole runs, bounded in rows and in bytes. Each bundle is one moment of its run: nothing that is written
   * meanwhile is in a part of it only. A run that is larger than a page comes alone, whole.
   *
   * @throws {InvalidArgumentError}
   */
  readBundles(query?: BundleQuery): Promise<BundlePage>;

  /**
   * Stores whole runs as they are, revisions and times included; each run entirely or not at all, in order.
   * Bundles that an older version has read may lack what it did not have.
   *
   * @throws {RunAlreadyExistsError} with `fail` at the first run that is there; earlier ones stay written. Also,
   *   with `heldBy`, if another run holds the same idempotency key and `onConflict` is not `skip`.
   * @throws {InvalidArgumentError} {InvalidValueError} before anything is written.
   */
  writeBundles(
    bundles: readonly BundleInput[],
    options: WriteBundlesOptions,
  ): Promise<WriteBundlesReport>;
}
