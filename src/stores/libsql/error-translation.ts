import {
  GorkflowError,
  SchemaOutOfDateError,
  StoreBusyError,
  StoreClosedError,
  StoreConnectionError,
} from "../../errors.ts";

/** What a driver's error says, gathered over its chain of causes. */
interface Symptoms {
  readonly codes: readonly string[];
  readonly messages: string;
  /** HTTP status of a refused request. */
  readonly status: number | null;
  /** The driver's own error: Drizzle's wrapper quotes the bound values in its message. */
  readonly origin: unknown;
}

/** What a failed statement was doing: a lost connection leaves the outcome of a write unknown. */
export type Attempt = "read" | "write";

/**
 * The error of this package that stands for a driver's error: the same class for the same cause, whichever
 * backend and protocol it came through.
 */
export function translateError(error: unknown, attempt: Attempt): GorkflowError {
  if (error instanceof GorkflowError) return error;
  const symptoms = examine(error);
  const options = { cause: symptoms.origin };
  const has = (pattern: RegExp) => symptoms.codes.some((code) => pattern.test(code));
  const says = (pattern: RegExp) => pattern.test(symptoms.messages);

  if (
    has(/^SQLITE_(BUSY|LOCKED)/) ||
    says(/database (table )?is locked|SQL statements in progress/)
  ) {
    return new StoreBusyError("the database is locked by another connection", options);
  }
  if (has(/^CLIENT_CLOSED$/) || says(/client is closed/i)) return new StoreClosedError(options);
  if (says(/no such (table|column)|has no column named/)) {
    return new SchemaOutOfDateError(
      "the database lacks tables or columns of this version: run `gorkflow migrate`, or apply the new migrations",
      options,
    );
  }
  if (
    has(/^(TRANSACTION_TIMEOUT|STREAM_EXPIRED|TRANSACTION_CLOSED)$/) ||
    says(/no transaction is active|invalid baton/)
  ) {
    return failure(
      "the server has ended the transaction, or no longer knows of it: it has 5 seconds",
      "none",
      true,
    );
  }
  if (symptoms.status === 401 || symptoms.status === 403 || has(/^AUTH_/)) {
    return failure("the server refused the auth token", "none", false);
  }
  if (symptoms.status === 404) return failure("the server has no such database", "none", false);
  if (has(/^(RESPONSE_TOO_LARGE|SQLITE_TOOBIG)$/)) {
    return failure("a row or an answer is larger than the server allows", "none", false);
  }
  const fault = localFaults.find(({ code }) => has(code));
  if (fault !== undefined) return failure(fault.reason, "none", false);
  if (
    has(/^(E[A-Z]+|UND_ERR_\w+|HRANA_WEBSOCKET_ERROR|HRANA_CLOSED_ERROR)$/) ||
    says(/fetch failed/)
  ) {
    return failure(
      "the connection to the server failed",
      attempt === "write" ? "unknown" : "none",
      true,
    );
  }
  const [code] = symptoms.codes;
  return failure(
    `the database refused a statement${code === undefined ? "" : ` (${code})`}`,
    "none",
    false,
  );

  function failure(
    reason: string,
    outcome: "none" | "unknown",
    retryable: boolean,
  ): StoreConnectionError {
    return new StoreConnectionError({ reason, outcome, retryable }, options);
  }
}

const localFaults = [
  {
    code: /^SQLITE_NOTADB/,
    reason: "the file is not a database, or its encryption key is another",
  },
  { code: /^SQLITE_CORRUPT/, reason: "the database file is corrupt" },
  { code: /^SQLITE_FULL/, reason: "the disk is full" },
  { code: /^SQLITE_READONLY/, reason: "the database is read-only" },
  { code: /^SQLITE_CANTOPEN/, reason: "the database file cannot be opened" },
  { code: /^SQLITE_IOERR/, reason: "the database file cannot be read or written" },
] as const;

/** True when a statement failed because it put NULL where none may be: how a guard fails. */
export function isGuardFailure(error: unknown): boolean {
  return /NOT NULL constraint failed/.test(examine(error).messages);
}

/** True when a connection cannot commit: a statement on it met a lock, and the driver has not finished it. */
export function isUnfinishedStatement(error: unknown): boolean {
  return /SQL statements in progress/.test(examine(error).messages);
}

/** True when a server has ended a transaction that took longer than it has. */
export function isOverdueTransaction(error: unknown): boolean {
  return examine(error).codes.some((code) => /^(TRANSACTION_TIMEOUT|STREAM_EXPIRED)$/.test(code));
}

/** The driver's own error, without Drizzle's wrapper; any other error as it is. */
export function driverError(error: unknown): unknown {
  return examine(error).origin;
}

/** True when the statements themselves were refused, so that the batch is known to be undone. */
export function isStatementFailure(error: unknown): boolean {
  return examine(error).codes.some((code) => /^(SQLITE_|SQL_|PROXY_ERROR)/.test(code));
}

function examine(error: unknown): Symptoms {
  const codes: string[] = [];
  const messages: string[] = [];
  let status: number | null = null;
  let origin: unknown = error;
  for (let link: unknown = error, depth = 0; isObject(link) && depth < 10; depth++) {
    for (const code of [link["extendedCode"], link["code"]]) {
      if (typeof code === "string" && code !== "") codes.push(code);
    }
    const isDrizzleWrapper = link["name"] === "DrizzleQueryError" || "query" in link;
    if (isDrizzleWrapper) origin = link["cause"];
    else if (typeof link["message"] === "string") messages.push(link["message"]);
    if (typeof link["status"] === "number") status ??= link["status"];
    link = link["cause"];
  }
  return { codes, messages: messages.join("\n"), status, origin };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
