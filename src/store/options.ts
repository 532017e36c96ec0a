/** What every operation accepts, in its last (or only) object argument. */
export interface OperationOptions {
  /**
   * Aborting rejects the call with the signal's reason. Before the operation is sent nothing happens; after
   * that a write may still take place.
   */
  readonly signal?: AbortSignal | undefined;
}

/** The fence of a write: it takes place only while the run is RUNNING and `workerId` holds it. */
export interface FenceOptions extends OperationOptions {
  readonly workerId?: string | undefined;
  /** The `attempt` of the claim: tells it from others of the same worker id. Needs `workerId`. */
  readonly attempt?: number | undefined;
}

/** A fence, and compare-and-set on the row's revision. */
export interface RevisionOptions extends FenceOptions {
  readonly expectedRevision?: number | undefined;
}
