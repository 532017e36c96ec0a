/** Options of every operation, in its last object argument. */
export interface OperationOptions {
  /**
   * Aborting rejects the call with the signal's reason. If the operation was not sent yet, it has no effect. If it was,
   * a write may still take effect.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface CreateRunOptions extends OperationOptions {
  /**
   * The run that has the idempotency key. If it still has this revision, it loses the key to the new run, and its revision
   * is incremented. Otherwise the option has no effect. Requires an `idempotencyKey`.
   */
  readonly takeKeyFrom?: { readonly runId: string; readonly revision: number } | undefined;
}

/** A fence: the write takes effect only while the run is RUNNING and `workerId` holds it. */
export interface FenceOptions extends OperationOptions {
  readonly workerId?: string | undefined;
  /** The `attempt` of the claim, which distinguishes claims of the same worker. Requires `workerId`. */
  readonly attempt?: number | undefined;
}

/** Options of a read that may leave payloads out. */
export interface ReadOptions extends OperationOptions {
  /** False leaves the payload columns out of the query and of the result. Defaults to true. */
  readonly payloads?: boolean | undefined;
}

/** The revision that the row must have. */
export interface ExpectedRevisionOptions extends OperationOptions {
  readonly expectedRevision?: number | undefined;
}

export interface ReopenOptions extends ExpectedRevisionOptions {
  /**
   * The id of a step. It restarts, with all steps that `listStepExecutions` lists after it. Defaults to none: steps that
   * have ended stay.
   */
  readonly fromStep?: string | undefined;
}

/** A fence, and the revision that the row must have. */
export interface RevisionOptions extends FenceOptions, ExpectedRevisionOptions {}
