import type { RunStatus, StepStatus } from "./statuses.ts";

/**
 * The base class of every error that this package throws.
 *
 * `code` is stable: match on it, not on the message. A message contains ids, field names and statuses, and never
 * payloads, bound values or auth tokens. `retryable` is true if the same call may succeed later, unchanged.
 */
export abstract class GorkflowError extends Error {
  abstract readonly code: string;
  readonly retryable: boolean = false;
}

/** The run does not exist. */
export class RunNotFoundError extends GorkflowError {
  override readonly name = "RunNotFoundError";
  readonly code = "RUN_NOT_FOUND";
  readonly runId: string;
  constructor({ runId }: { runId: string }, options?: ErrorOptions) {
    super(`run ${runId} does not exist`, options);
    this.runId = runId;
  }
}

/** A run with this id exists, or another run of the workflow has its idempotency key. */
export class RunAlreadyExistsError extends GorkflowError {
  override readonly name = "RunAlreadyExistsError";
  readonly code = "RUN_ALREADY_EXISTS";
  readonly runId: string;
  /** The run that has the same idempotency key; null if the run itself exists. */
  readonly heldBy: string | null;
  readonly idempotencyKey: string | null;
  constructor(
    {
      runId,
      heldBy = null,
      idempotencyKey = null,
    }: { runId: string; heldBy?: string | null; idempotencyKey?: string | null },
    options?: ErrorOptions,
  ) {
    super(
      heldBy === null
        ? `run ${runId} already exists`
        : `run ${runId} cannot be stored: run ${heldBy} has the same idempotency key, ${idempotencyKey}`,
      options,
    );
    this.runId = runId;
    this.heldBy = heldBy;
    this.idempotencyKey = idempotencyKey;
  }
}

/** The run has ended, or it cannot change from its status to the requested one. */
export class RunTransitionError extends GorkflowError {
  override readonly name = "RunTransitionError";
  readonly code = "RUN_TRANSITION";
  readonly runId: string;
  readonly from: RunStatus;
  /** The requested status; null if the change does not include a status. */
  readonly to: RunStatus | null;
  constructor(
    { runId, from, to }: { runId: string; from: RunStatus; to: RunStatus | null },
    options?: ErrorOptions,
  ) {
    super(
      to === null
        ? `run ${runId} is ${from} and can no longer change`
        : `run ${runId} is ${from} and cannot become ${to}`,
      options,
    );
    this.runId = runId;
    this.from = from;
    this.to = to;
  }
}

/** The run has no execution of this step. */
export class StepExecutionNotFoundError extends GorkflowError {
  override readonly name = "StepExecutionNotFoundError";
  readonly code = "STEP_EXECUTION_NOT_FOUND";
  readonly runId: string;
  readonly stepId: string;
  constructor({ runId, stepId }: { runId: string; stepId: string }, options?: ErrorOptions) {
    super(`step ${stepId} of run ${runId} does not exist`, options);
    this.runId = runId;
    this.stepId = stepId;
  }
}

/** The run already has an execution of this step. */
export class StepExecutionAlreadyExistsError extends GorkflowError {
  override readonly name = "StepExecutionAlreadyExistsError";
  readonly code = "STEP_EXECUTION_ALREADY_EXISTS";
  readonly runId: string;
  readonly stepId: string;
  constructor({ runId, stepId }: { runId: string; stepId: string }, options?: ErrorOptions) {
    super(`step ${stepId} of run ${runId} already exists`, options);
    this.runId = runId;
    this.stepId = stepId;
  }
}

/** The step is COMPLETED or SKIPPED and can no longer change. */
export class StepTransitionError extends GorkflowError {
  override readonly name = "StepTransitionError";
  readonly code = "STEP_TRANSITION";
  readonly runId: string;
  readonly stepId: string;
  readonly from: StepStatus;
  /** The requested status; null if the change does not include a status. */
  readonly to: StepStatus | null;
  constructor(
    {
      runId,
      stepId,
      from,
      to,
    }: { runId: string; stepId: string; from: StepStatus; to: StepStatus | null },
    options?: ErrorOptions,
  ) {
    super(
      to === null
        ? `step ${stepId} of run ${runId} is ${from} and can no longer change`
        : `step ${stepId} of run ${runId} is ${from} and cannot become ${to}`,
      options,
    );
    this.runId = runId;
    this.stepId = stepId;
    this.from = from;
    this.to = to;
  }
}

/** The step has no stored output. */
export class StepOutputNotFoundError extends GorkflowError {
  override readonly name = "StepOutputNotFoundError";
  readonly code = "STEP_OUTPUT_NOT_FOUND";
  readonly runId: string;
  readonly stepId: string;
  constructor({ runId, stepId }: { runId: string; stepId: string }, options?: ErrorOptions) {
    super(`step ${stepId} of run ${runId} has no output`, options);
    this.runId = runId;
    this.stepId = stepId;
  }
}

/** The run has no state value with this key. */
export class StateNotFoundError extends GorkflowError {
  override readonly name = "StateNotFoundError";
  readonly code = "STATE_NOT_FOUND";
  readonly runId: string;
  readonly key: string;
  constructor({ runId, key }: { runId: string; key: string }, options?: ErrorOptions) {
    super(`run ${runId} has no state ${key}`, options);
    this.runId = runId;
    this.key = key;
  }
}

/** The run or the state value has changed since the caller read it. Read it again and decide again. */
export class RevisionConflictError extends GorkflowError {
  override readonly name = "RevisionConflictError";
  readonly code = "REVISION_CONFLICT";
  readonly runId: string;
  /** The key of the state value; null if the conflict is on the run. */
  readonly key: string | null;
  readonly expectedRevision: number;
  /** The stored revision; 0 if the state key does not exist. */
  readonly actualRevision: number;
  constructor(
    {
      runId,
      key = null,
      expectedRevision,
      actualRevision,
    }: { runId: string; key?: string | null; expectedRevision: number; actualRevision: number },
    options?: ErrorOptions,
  ) {
    super(
      `${key === null ? `run ${runId}` : `state ${key} of run ${runId}`} is at revision ` +
        `${actualRevision}, not ${expectedRevision}`,
      options,
    );
    this.runId = runId;
    this.key = key;
    this.expectedRevision = expectedRevision;
    this.actualRevision = actualRevision;
  }
}

/** The worker does not hold the run, or no longer holds it. Nothing was written. */
export class LeaseLostError extends GorkflowError {
  override readonly name = "LeaseLostError";
  readonly code = "LEASE_LOST";
  readonly runId: string;
  readonly workerId: string;
  /** The status of the run when the write was rejected; null if it is unknown. */
  readonly status: RunStatus | null;
  constructor(
    {
      runId,
      workerId,
      status = null,
    }: { runId: string; workerId: string; status?: RunStatus | null },
    options?: ErrorOptions,
  ) {
    super(`worker ${workerId} does not hold run ${runId}`, options);
    this.runId = runId;
    this.workerId = workerId;
    this.status = status;
  }
}

/** A value cannot be stored as JSON without change, or is too large. `path` locates it: `input.items[2]`. */
export class InvalidValueError extends GorkflowError {
  override readonly name = "InvalidValueError";
  readonly code = "INVALID_VALUE";
  readonly path: string;
  constructor({ path, reason }: { path: string; reason: string }, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.path = path;
  }
}

/** An argument is never valid: it has the wrong type, is out of range, or is an unknown option. */
export class InvalidArgumentError extends GorkflowError {
  override readonly name = "InvalidArgumentError";
  readonly code = "INVALID_ARGUMENT";
  readonly argument: string;
  constructor({ argument, reason }: { argument: string; reason: string }, options?: ErrorOptions) {
    super(`${argument}: ${reason}`, options);
    this.argument = argument;
  }
}

/** The store cannot do this, or cannot do it here, for example inside a transaction. */
export class UnsupportedError extends GorkflowError {
  override readonly name = "UnsupportedError";
  readonly code = "UNSUPPORTED";
  readonly feature: string;
  constructor({ feature, reason }: { feature: string; reason: string }, options?: ErrorOptions) {
    super(`${feature}: ${reason}`, options);
    this.feature = feature;
  }
}

/** The database was locked for longer than `busyTimeoutMs`. Nothing was written. */
export class StoreBusyError extends GorkflowError {
  override readonly name = "StoreBusyError";
  readonly code = "STORE_BUSY";
  override readonly retryable = true;
}

/**
 * The database could not be reached, rejected the credentials, or failed.
 *
 * `outcome` is `none` if nothing was written. It is `unknown` if the connection broke after a write was sent: the
 * write may have taken effect.
 */
export class StoreConnectionError extends GorkflowError {
  override readonly name = "StoreConnectionError";
  readonly code = "STORE_CONNECTION";
  override readonly retryable: boolean;
  readonly outcome: "none" | "unknown";
  constructor(
    {
      reason,
      outcome = "none",
      retryable = false,
    }: { reason: string; outcome?: "none" | "unknown"; retryable?: boolean },
    options?: ErrorOptions,
  ) {
    super(outcome === "unknown" ? `${reason} (the write may have taken effect)` : reason, options);
    this.outcome = outcome;
    this.retryable = retryable;
  }
}

/** The disk of the database is full. Nothing was written; the same call succeeds when there is space. */
export class StoreFullError extends GorkflowError {
  override readonly name = "StoreFullError";
  readonly code = "STORE_FULL";
  override readonly retryable = true;
  constructor(options?: ErrorOptions) {
    super("the disk is full", options);
  }
}

export type ConstraintKind = "unique" | "foreignKey" | "check" | "notNull" | "trigger" | "unknown";

export interface ConstraintRefusal {
  readonly kind: ConstraintKind;
  readonly table?: string | null;
  readonly columns?: readonly string[];
  readonly constraint?: string | null;
}

/**
 * A constraint, an index or a trigger that the app added to the database rejected the write. Nothing was written.
 * The same call fails again until the data or the constraint changes.
 */
export class ConstraintError extends GorkflowError {
  override readonly name = "ConstraintError";
  readonly code = "CONSTRAINT";
  readonly outcome = "none";
  readonly kind: ConstraintKind;
  /** The table; null if the database does not name it. */
  readonly table: string | null;
  /** The columns of a unique or NOT NULL constraint; empty if the database does not name them. */
  readonly columns: readonly string[];
  /** The name of a check, or of a unique index on an expression; null if the database does not name it. */
  readonly constraint: string | null;
  constructor(refusal: ConstraintRefusal, options?: ErrorOptions) {
    const { kind, table = null, columns = [], constraint = null } = refusal;
    super(constraintMessage({ kind, table, columns, constraint }), options);
    this.kind = kind;
    this.table = table;
    this.columns = columns;
    this.constraint = constraint;
  }
}

function constraintMessage({
  kind,
  table,
  columns,
  constraint,
}: Required<ConstraintRefusal>): string {
  const on =
    table === null ? "" : ` on ${table}${columns.length > 0 ? ` (${columns.join(", ")})` : ""}`;
  const named = constraint === null ? "" : ` ${constraint}`;
  switch (kind) {
    case "unique":
      return `the unique constraint${named}${on} rejected the write`;
    case "notNull":
      return `the NOT NULL constraint${on} rejected the write`;
    case "check":
      return `the check${named}${on} rejected the write`;
    case "foreignKey":
      return (
        `a foreign key${on} rejected the write: it references a row that is missing or would be deleted. If it ` +
        "references a run that is being deleted, declare it `on delete cascade` or `on delete set null`, or delete " +
        "the referencing row first"
      );
    case "trigger":
      return `a trigger${on} rejected the write`;
    default:
      return `a constraint${named}${on} rejected the write`;
  }
}

/** `close()` was called on the store. */
export class StoreClosedError extends GorkflowError {
  override readonly name = "StoreClosedError";
  readonly code = "STORE_CLOSED";
  constructor(options?: ErrorOptions) {
    super("the store is closed", options);
  }
}

/** A cell does not contain a valid value of its column. `key` is the primary key of the row. */
export class CorruptRowError extends GorkflowError {
  override readonly name = "CorruptRowError";
  readonly code = "CORRUPT_ROW";
  readonly table: string;
  readonly key: Readonly<Record<string, string>>;
  readonly column: string;
  constructor(
    {
      table,
      key,
      column,
    }: { table: string; key: Readonly<Record<string, string>>; column: string },
    options?: ErrorOptions,
  ) {
    const names = Object.entries(key).map(([name, value]) => `${name} ${value}`);
    const row = names.length === 0 ? table : `${table} (${names.join(", ")})`;
    super(`${row} has an invalid value in column ${column}`, options);
    this.table = table;
    this.key = key;
    this.column = column;
  }
}

/** The database lacks tables, columns or migrations of this version. The message says what to run. */
export class SchemaOutOfDateError extends GorkflowError {
  override readonly name = "SchemaOutOfDateError";
  readonly code = "SCHEMA_OUT_OF_DATE";
}

/** The database was migrated by a newer version of this package. */
export class SchemaTooNewError extends GorkflowError {
  override readonly name = "SchemaTooNewError";
  readonly code = "SCHEMA_TOO_NEW";
}

/** An attempt took longer than the `timeoutMs` of its step. */
export class StepTimeoutError extends GorkflowError {
  override readonly name = "StepTimeoutError";
  readonly code = "STEP_TIMEOUT";
  readonly stepId: string;
  readonly timeoutMs: number;
  constructor(
    { stepId, timeoutMs }: { stepId: string; timeoutMs: number },
    options?: ErrorOptions,
  ) {
    super(`step ${stepId} took longer than ${timeoutMs} ms`, options);
    this.stepId = stepId;
    this.timeoutMs = timeoutMs;
  }
}

/** The step sleeps. `ctx.sleep` rejects with this error, and `ctx.signal` aborts with it. The step restarts later. */
export class StepSleepingError extends GorkflowError {
  override readonly name = "StepSleepingError";
  readonly code = "STEP_SLEEPING";
  readonly stepId: string;
  readonly until: Date;
  constructor({ stepId, until }: { stepId: string; until: Date }, options?: ErrorOptions) {
    super(`step ${stepId} sleeps until ${until.toISOString()}`, options);
    this.stepId = stepId;
    this.until = until;
  }
}

/** The run failed because it had not ended at its deadline. The `ctx.signal` of its steps aborts with this error. */
export class RunTimeoutError extends GorkflowError {
  override readonly name = "RunTimeoutError";
  readonly code = "RUN_TIMEOUT";
  readonly runId: string;
  readonly deadlineAt: Date;
  constructor({ runId, deadlineAt }: { runId: string; deadlineAt: Date }, options?: ErrorOptions) {
    super(`run ${runId} did not end before its deadline, ${deadlineAt.toISOString()}`, options);
    this.runId = runId;
    this.deadlineAt = deadlineAt;
  }
}

/** The run failed because too many workers in a row lost their lease on it without progress. */
export class RunAbandonedError extends GorkflowError {
  override readonly name = "RunAbandonedError";
  readonly code = "RUN_ABANDONED";
  readonly runId: string;
  readonly lostLeases: number;
  constructor(
    { runId, lostLeases }: { runId: string; lostLeases: number },
    options?: ErrorOptions,
  ) {
    super(
      `run ${runId} was abandoned: the leases of ${lostLeases} workers in a row expired`,
      options,
    );
    this.runId = runId;
    this.lostLeases = lostLeases;
  }
}

/** The input or the output of a step does not match its schema. The step is not retried. */
export class StepValidationError extends GorkflowError {
  override readonly name = "StepValidationError";
  readonly code = "STEP_VALIDATION";
  readonly stepId: string;
  /** Locates the value. Begins with `input` or `output`: `output.items[2].price`. */
  readonly path: string;
  constructor(
    { stepId, path, reason }: { stepId: string; path: string; reason: string },
    options?: ErrorOptions,
  ) {
    super(`step ${stepId}: ${path}: ${reason}`, options);
    this.stepId = stepId;
    this.path = path;
  }
}

/** The run was cancelled. The `ctx.signal` of its running steps aborts with this error. */
export class RunCancelledError extends GorkflowError {
  override readonly name = "RunCancelledError";
  readonly code = "RUN_CANCELLED";
  readonly runId: string;
  constructor({ runId }: { runId: string }, options?: ErrorOptions) {
    super(`run ${runId} was cancelled`, options);
    this.runId = runId;
  }
}

/** The engine is closed, or closed before the call was done. The runs stay in the store. */
export class EngineClosedError extends GorkflowError {
  override readonly name = "EngineClosedError";
  readonly code = "ENGINE_CLOSED";
  constructor(options?: ErrorOptions) {
    super("the engine is closed", options);
  }
}

/** The text is not a valid export. `line` is the first invalid line, counted from 1. */
export class InvalidExportError extends GorkflowError {
  override readonly name = "InvalidExportError";
  readonly code = "INVALID_EXPORT";
  readonly line: number;
  constructor({ line, reason }: { line: number; reason: string }, options?: ErrorOptions) {
    super(`line ${line} of the export: ${reason}`, options);
    this.line = line;
  }
}

/** The export is cut off. `line` is the last line that it contains. */
export class IncompleteExportError extends GorkflowError {
  override readonly name = "IncompleteExportError";
  readonly code = "INCOMPLETE_EXPORT";
  readonly line: number;
  constructor({ line }: { line: number }, options?: ErrorOptions) {
    super(`the export is incomplete: it ends after line ${line}. Export again`, options);
    this.line = line;
  }
}

/** A newer version of this package wrote the export. */
export class ExportTooNewError extends GorkflowError {
  override readonly name = "ExportTooNewError";
  readonly code = "EXPORT_TOO_NEW";
  constructor({ reason }: { reason: string }, options?: ErrorOptions) {
    super(`a newer version wrote the export: ${reason}. Import it with that version`, options);
  }
}

/** The file of an export cannot be read or written. `cause` is the error of the operating system. */
export class ExportFileError extends GorkflowError {
  override readonly name = "ExportFileError";
  readonly code = "EXPORT_FILE";
  readonly path: string;
  constructor({ path, reason }: { path: string; reason: string }, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.path = path;
  }
}

/** These runs could not be read. All others were exported, copied or compared. */
export class UnreadableRunsError extends GorkflowError {
  override readonly name = "UnreadableRunsError";
  readonly code = "UNREADABLE_RUNS";
  /** The first unreadable cell of each skipped run. */
  readonly corrupt: readonly CorruptRowError[];
  constructor({ corrupt }: { corrupt: readonly CorruptRowError[] }, options?: ErrorOptions) {
    const [first] = corrupt;
    const others = corrupt.length > 1 ? `, and ${corrupt.length - 1} more` : "";
    super(
      `${corrupt.length === 1 ? "a run was" : `${corrupt.length} runs were`} unreadable and skipped: ` +
        `${first?.message ?? "unknown"}${others}`,
      options,
    );
    this.corrupt = corrupt;
  }
}

/** The target rejected these runs. All others were copied or imported. */
export class RefusedRunsError extends GorkflowError {
  override readonly name = "RefusedRunsError";
  readonly code = "REFUSED_RUNS";
  /** The skipped runs, each with the error of the target. */
  readonly refused: readonly { readonly runId: string; readonly error: unknown }[];
  /** The first unreadable cell of each run that could not be read from the source. */
  readonly corrupt: readonly CorruptRowError[];
  constructor(
    {
      refused,
      corrupt = [],
    }: {
      refused: readonly { readonly runId: string; readonly error: unknown }[];
      corrupt?: readonly CorruptRowError[];
    },
    options?: ErrorOptions,
  ) {
    const [first] = refused;
    const reason = first?.error instanceof GorkflowError ? first.error.message : "unknown error";
    const others = refused.length > 1 ? `, and ${refused.length - 1} more` : "";
    const unread = corrupt.length > 0 ? `; ${corrupt.length} more could not be read` : "";
    super(
      `the target rejected ${refused.length === 1 ? "a run" : `${refused.length} runs`}: ` +
        `run ${first?.runId}: ${reason}${others}${unread}`,
      options,
    );
    this.refused = refused;
    this.corrupt = corrupt;
  }
}

/** The stores are not equal, or could not be made equal in time. The primary has not changed. */
export class SwitchOverError extends GorkflowError {
  override readonly name = "SwitchOverError";
  readonly code = "SWITCH_OVER";
  override readonly retryable = true;
  constructor({ reason }: { reason: string }, options?: ErrorOptions) {
    super(`the switch did not take place: ${reason}`, options);
  }
}
