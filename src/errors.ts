import type { RunStatus, StepStatus } from "./statuses.ts";

/**
 * The base of every error that this package throws.
 *
 * `code` is stable and machine-readable; match on it, not on the message. Messages name ids, fields and
 * statuses, never payloads, bound values or auth tokens. `retryable` is true when the same call may succeed
 * later without any change by the caller.
 */
export abstract class GorkflowError extends Error {
  abstract readonly code: string;
  readonly retryable: boolean = false;
}

export class RunNotFoundError extends GorkflowError {
  override readonly name = "RunNotFoundError";
  readonly code = "RUN_NOT_FOUND";
  readonly runId: string;
  constructor({ runId }: { runId: string }, options?: ErrorOptions) {
    super(`run ${runId} does not exist`, options);
    this.runId = runId;
  }
}

export class RunAlreadyExistsError extends GorkflowError {
  override readonly name = "RunAlreadyExistsError";
  readonly code = "RUN_ALREADY_EXISTS";
  readonly runId: string;
  /** The run that holds the idempotency key of this one; null when the run itself exists. */
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
        : `run ${runId} cannot be stored: run ${heldBy} holds its idempotency key ${idempotencyKey}`,
      options,
    );
    this.runId = runId;
    this.heldBy = heldBy;
    this.idempotencyKey = idempotencyKey;
  }
}

export class RunTransitionError extends GorkflowError {
  override readonly name = "RunTransitionError";
  readonly code = "RUN_TRANSITION";
  readonly runId: string;
  readonly from: RunStatus;
  /** The status asked for; null when the change named none. */
  readonly to: RunStatus | null;
  constructor(
    { runId, from, to }: { runId: string; from: RunStatus; to: RunStatus | null },
    options?: ErrorOptions,
  ) {
    super(
      to === null
        ? `run ${runId} is ${from} and changes no more`
        : `run ${runId} is ${from} and cannot become ${to}`,
      options,
    );
    this.runId = runId;
    this.from = from;
    this.to = to;
  }
}

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

export class StepTransitionError extends GorkflowError {
  override readonly name = "StepTransitionError";
  readonly code = "STEP_TRANSITION";
  readonly runId: string;
  readonly stepId: string;
  readonly from: StepStatus;
  /** The status asked for; null when the change named none. */
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
        ? `step ${stepId} of run ${runId} is ${from} and changes no more`
        : `step ${stepId} of run ${runId} is ${from} and cannot become ${to}`,
      options,
    );
    this.runId = runId;
    this.stepId = stepId;
    this.from = from;
    this.to = to;
  }
}

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

/** The row was changed by somebody else since the caller read it. Read again and decide anew. */
export class RevisionConflictError extends GorkflowError {
  override readonly name = "RevisionConflictError";
  readonly code = "REVISION_CONFLICT";
  readonly runId: string;
  /** The state key, where the conflict is on a state value; null where it is on the run. */
  readonly key: string | null;
  readonly expectedRevision: number;
  /** The revision found; 0 when the state key does not exist. */
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

/** The worker does not hold the run (any more); nothing that it asked for was written. */
export class LeaseLostError extends GorkflowError {
  override readonly name = "LeaseLostError";
  readonly code = "LEASE_LOST";
  readonly runId: string;
  readonly workerId: string;
  /** The status of the run when the write was refused; null if it is not known. */
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

/** A value that JSON cannot carry unchanged, or one that is too large. `path` says where: `input.items[2]`. */
export class InvalidValueError extends GorkflowError {
  override readonly name = "InvalidValueError";
  readonly code = "INVALID_VALUE";
  readonly path: string;
  constructor({ path, reason }: { path: string; reason: string }, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.path = path;
  }
}

/** An argument that no call could accept: a wrong type, an unknown option, a number out of range. */
export class InvalidArgumentError extends GorkflowError {
  override readonly name = "InvalidArgumentError";
  readonly code = "INVALID_ARGUMENT";
  readonly argument: string;
  constructor({ argument, reason }: { argument: string; reason: string }, options?: ErrorOptions) {
    super(`${argument}: ${reason}`, options);
    this.argument = argument;
  }
}

/** What was asked for is not possible on this store, in this place. */
export class UnsupportedError extends GorkflowError {
  override readonly name = "UnsupportedError";
  readonly code = "UNSUPPORTED";
  readonly feature: string;
  constructor({ feature, reason }: { feature: string; reason: string }, options?: ErrorOptions) {
    super(`${feature}: ${reason}`, options);
    this.feature = feature;
  }
}

/** The database stayed locked for longer than `busyTimeoutMs`. Nothing was written. */
export class StoreBusyError extends GorkflowError {
  override readonly name = "StoreBusyError";
  readonly code = "STORE_BUSY";
  override readonly retryable = true;
}

/**
 * The database could not be reached, refused the credentials, or failed.
 *
 * `outcome` is `none` when nothing was written, and `unknown` when the connection was lost after a write was
 * sent: it may be durable.
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
    super(outcome === "unknown" ? `${reason} (the write may have happened)` : reason, options);
    this.outcome = outcome;
    this.retryable = retryable;
  }
}

/** The disk that holds the database is full. Nothing was written; the same call succeeds once there is room. */
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
 * A constraint, an index or a trigger that the app added to the database refused the write. Nothing was written,
 * and the same call fails again until the data or the constraint changes.
 */
export class ConstraintError extends GorkflowError {
  override readonly name = "ConstraintError";
  readonly code = "CONSTRAINT";
  readonly outcome = "none";
  readonly kind: ConstraintKind;
  /** The table that the database names; null if it names none. */
  readonly table: string | null;
  /** The columns of a unique or NOT NULL constraint; empty if the database names none. */
  readonly columns: readonly string[];
  /** The name of a check, or of a unique index on an expression; null if the database names none. */
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
      return `the unique constraint${named}${on} refused the write`;
    case "notNull":
      return `the NOT NULL constraint${on} refused the write`;
    case "check":
      return `the check${named}${on} refused the write`;
    case "foreignKey":
      return (
        `a foreign key${on} refused the write: it refers to a row that is missing or was to be deleted. If it refers ` +
        "to a run that is deleted, give it `on delete cascade` or `on delete set null`, or delete its row first"
      );
    case "trigger":
      return `a trigger${on} refused the write`;
    default:
      return `a constraint${named}${on} refused the write`;
  }
}

export class StoreClosedError extends GorkflowError {
  override readonly name = "StoreClosedError";
  readonly code = "STORE_CLOSED";
  constructor(options?: ErrorOptions) {
    super("the store is closed", options);
  }
}

/** A cell that cannot be read as what its column holds. `key` is the row's primary key. */
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
    super(`${table} (${names.join(", ")}) has a corrupt ${column}`, options);
    this.table = table;
    this.key = key;
    this.column = column;
  }
}

/** The database lacks tables, columns or migrations that this version needs. The message says what to run. */
export class SchemaOutOfDateError extends GorkflowError {
  override readonly name = "SchemaOutOfDateError";
  readonly code = "SCHEMA_OUT_OF_DATE";
}

/** The database was migrated by a newer version of this package. */
export class SchemaTooNewError extends GorkflowError {
  override readonly name = "SchemaTooNewError";
  readonly code = "SCHEMA_TOO_NEW";
}

/** An attempt of a step took longer than its `timeoutMs`. */
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

/** The step sleeps: the reason of its `ctx.signal`, and of the `ctx.sleep` that it called. It is begun anew then. */
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

/** The run had not ended at its deadline: why it has failed, and the reason of the `ctx.signal` of its steps. */
export class RunTimeoutError extends GorkflowError {
  override readonly name = "RunTimeoutError";
  readonly code = "RUN_TIMEOUT";
  readonly runId: string;
  readonly deadlineAt: Date;
  constructor({ runId, deadlineAt }: { runId: string; deadlineAt: Date }, options?: ErrorOptions) {
    super(`run ${runId} had not ended by ${deadlineAt.toISOString()}`, options);
    this.runId = runId;
    this.deadlineAt = deadlineAt;
  }
}

/** Too many workers in a row lost their lease on the run without progress: why it has failed. */
export class RunAbandonedError extends GorkflowError {
  override readonly name = "RunAbandonedError";
  readonly code = "RUN_ABANDONED";
  readonly runId: string;
  readonly lostLeases: number;
  constructor(
    { runId, lostLeases }: { runId: string; lostLeases: number },
    options?: ErrorOptions,
  ) {
    super(`run ${runId} was left by ${lostLeases} workers in a row, whose leases ran out`, options);
    this.runId = runId;
    this.lostLeases = lostLeases;
  }
}

/** What a step was given, or what it returned, does not fit its schema. Trying again would not help. */
export class StepValidationError extends GorkflowError {
  override readonly name = "StepValidationError";
  readonly code = "STEP_VALIDATION";
  readonly stepId: string;
  /** Where, beginning with `input` or `output`: `output.items[2].price`. */
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

/** The run was cancelled while one of its steps was at work: the reason of that step's `ctx.signal`. */
export class RunCancelledError extends GorkflowError {
  override readonly name = "RunCancelledError";
  readonly code = "RUN_CANCELLED";
  readonly runId: string;
  constructor({ runId }: { runId: string }, options?: ErrorOptions) {
    super(`run ${runId} was cancelled`, options);
    this.runId = runId;
  }
}

/** The engine is closed, or it closed before what was asked for had happened. The runs stay in the store. */
export class EngineClosedError extends GorkflowError {
  override readonly name = "EngineClosedError";
  readonly code = "ENGINE_CLOSED";
  constructor(options?: ErrorOptions) {
    super("the engine is closed", options);
  }
}

/** The text is no export, or not any more. `line` is the offending one, counted from 1. */
export class InvalidExportError extends GorkflowError {
  override readonly name = "InvalidExportError";
  readonly code = "INVALID_EXPORT";
  readonly line: number;
  constructor({ line, reason }: { line: number; reason: string }, options?: ErrorOptions) {
    super(`line ${line} of the export: ${reason}`, options);
    this.line = line;
  }
}

/** The export ends before its last line: whoever wrote it was stopped. `line` is the last one that is there. */
export class IncompleteExportError extends GorkflowError {
  override readonly name = "IncompleteExportError";
  readonly code = "INCOMPLETE_EXPORT";
  readonly line: number;
  constructor({ line }: { line: number }, options?: ErrorOptions) {
    super(`the export is not complete: it breaks off after line ${line}. Export again`, options);
    this.line = line;
  }
}

/** The export was written by a newer version of this package, which knows things that this one does not. */
export class ExportTooNewError extends GorkflowError {
  override readonly name = "ExportTooNewError";
  readonly code = "EXPORT_TOO_NEW";
  constructor({ reason }: { reason: string }, options?: ErrorOptions) {
    super(
      `the export was written by a newer version: ${reason}. Import it with that version`,
      options,
    );
  }
}

/** The file of an export cannot be read or written; `cause` is the system's own error. */
export class ExportFileError extends GorkflowError {
  override readonly name = "ExportFileError";
  readonly code = "EXPORT_FILE";
  readonly path: string;
  constructor({ path, reason }: { path: string; reason: string }, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options);
    this.path = path;
  }
}

/** Everything else was exported, copied or compared; these runs could not be read. */
export class UnreadableRunsError extends GorkflowError {
  override readonly name = "UnreadableRunsError";
  readonly code = "UNREADABLE_RUNS";
  /** The first unreadable cell of each run that was left out. */
  readonly corrupt: readonly CorruptRowError[];
  constructor({ corrupt }: { corrupt: readonly CorruptRowError[] }, options?: ErrorOptions) {
    const [first] = corrupt;
    const others = corrupt.length > 1 ? `, and ${corrupt.length - 1} more` : "";
    super(
      `${corrupt.length === 1 ? "a run" : `${corrupt.length} runs`} could not be read and was left out: ` +
        `${first?.message ?? "unknown"}${others}`,
      options,
    );
    this.corrupt = corrupt;
  }
}

/** Everything else was copied or imported; the target refused these runs. */
export class RefusedRunsError extends GorkflowError {
  override readonly name = "RefusedRunsError";
  readonly code = "REFUSED_RUNS";
  /** The runs that were left out, each with the error of the target. */
  readonly refused: readonly { readonly runId: string; readonly error: unknown }[];
  /** The first unreadable cell of each run that could not be read. */
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
      `${refused.length === 1 ? "a run was" : `${refused.length} runs were`} refused and left out: ` +
        `run ${first?.runId}: ${reason}${others}${unread}`,
      options,
    );
    this.refused = refused;
    this.corrupt = corrupt;
  }
}

/** The stores do not hold the same, or not yet: nothing was switched. */
export class SwitchOverError extends GorkflowError {
  override readonly name = "SwitchOverError";
  readonly code = "SWITCH_OVER";
  override readonly retryable = true;
  constructor({ reason }: { reason: string }, options?: ErrorOptions) {
    super(`the stores were not switched: ${reason}`, options);
  }
}
