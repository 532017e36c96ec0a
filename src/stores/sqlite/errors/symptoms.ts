import type { ConstraintKind, ConstraintRefusal } from "../../../errors.ts";

/** The information in the error of a driver and its causes. */
export interface Symptoms {
  readonly codes: readonly string[];
  readonly messages: string;
  /** The HTTP status of a rejected request. */
  readonly status: number | null;
  /** The delay that the server requests before the next request. */
  readonly retryAfterMs: number | null;
  /** The error of the driver, without Drizzle's wrapper, whose message contains bound values. */
  readonly origin: unknown;
}

export function examine(error: unknown): Symptoms {
  const codes: string[] = [];
  const messages: string[] = [];
  let status: number | null = null;
  let retryAfterMs: number | null = null;
  let origin: unknown = error;
  for (let link: unknown = error, depth = 0; isObject(link) && depth < 10; depth++) {
    // The code of a DOMException is a number, so its name identifies it.
    for (const code of [link["extendedCode"], link["code"], link["name"]]) {
      if (typeof code === "string" && code !== "") codes.push(code);
    }
    const isDrizzleWrapper = link["name"] === "DrizzleQueryError" || "query" in link;
    if (isDrizzleWrapper) origin = link["cause"];
    else if (typeof link["message"] === "string") messages.push(link["message"]);
    if (typeof link["status"] === "number") status ??= link["status"];
    if (typeof link["retryAfterMs"] === "number") retryAfterMs ??= link["retryAfterMs"];
    // The cause may be of a function of the app, whose HTTP status says nothing about the database.
    if (link["code"] === "LIBRARY_ERROR") break;
    link = link["cause"];
  }
  return { codes, messages: messages.join("\n"), status, retryAfterMs, origin };
}

const kindOfConstraint: readonly (readonly [ConstraintKind, RegExp, RegExp])[] = [
  ["trigger", /^SQLITE_CONSTRAINT_TRIGGER$/, /RemoteSqliteFailure\(\d+, 1811,/],
  [
    "unique",
    /^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY|ROWID)$/,
    /\bUNIQUE constraint failed: (.*?)(?:"\))?$/m,
  ],
  ["notNull", /^SQLITE_CONSTRAINT_NOTNULL$/, /\bNOT NULL constraint failed: (.*?)(?:"\))?$/m],
  ["check", /^SQLITE_CONSTRAINT_CHECK$/, /\bCHECK constraint failed: (.*?)(?:"\))?$/m],
];

/**
 * The constraint that rejected a statement; null for any other failure.
 *
 * A file reports the kind as an extended code. A server reports it only in the message, and the message of a trigger is
 * free text.
 */
export function constraintOf({ codes, messages }: Symptoms): ConstraintRefusal | null {
  // ON DELETE RESTRICT has the extended code of a trigger.
  if (/\bFOREIGN KEY constraint failed/.test(messages)) return { kind: "foreignKey" };
  const found =
    kindOfConstraint.find(([, code]) => codes.some((each) => code.test(each))) ??
    kindOfConstraint.find(([, , says]) => says.test(messages));
  if (found === undefined) {
    if (!codes.some((code) => code.startsWith("SQLITE_CONSTRAINT"))) return null;
    return { kind: /cannot store \w+ value in/.test(messages) ? "unknown" : "trigger" };
  }
  const [kind, , says] = found;
  const named = says.exec(messages)?.[1];
  if (named === undefined) return { kind };
  const index = /^index '(.*)'$/.exec(named)?.[1];
  if (index !== undefined || kind === "check") return { kind, constraint: index ?? named };
  // SQLite names the columns as `table.column, table.column`.
  const columns = named.split(", ");
  const table = columns[0]?.slice(0, columns[0].lastIndexOf("."));
  return {
    kind,
    table: table ?? null,
    columns: columns.map((column) => column.slice(column.lastIndexOf(".") + 1)),
  };
}

/** An invalid JSON path. A guard uses it to fail, and the error contains it. */
export const guardPath = "gorkflow_guard";

/** True if a guard rolled back its batch. */
export function isGuardFailure(error: unknown): boolean {
  return examine(error).messages.includes(guardPath);
}

/** True if a connection cannot commit, because the driver left a statement open that met a lock. */
export function isUnfinishedStatement(error: unknown): boolean {
  return /SQL statements in progress/.test(examine(error).messages);
}

/** True if open transactions of the app use all connections of its client. Nothing was run. */
export function isWithoutConnection(error: unknown): boolean {
  return examine(error).codes.includes("TRANSACTION_ACTIVE");
}

/** True if the server ended a transaction after its time limit. */
export function isOverdueTransaction(error: unknown): boolean {
  return examine(error).codes.some((code) => /^(TRANSACTION_TIMEOUT|STREAM_EXPIRED)$/.test(code));
}

/** True if the database rejected the statements, so that the batch is rolled back. */
export function isStatementFailure(error: unknown): boolean {
  return examine(error).codes.some((code) => /^(SQLITE_|SQL_|PROXY_ERROR)/.test(code));
}

/** True if a WebSocket was closed without a reason. */
export function isUnexplainedClosing(error: unknown): boolean {
  const { codes, messages } = examine(error);
  return codes.includes("HRANA_WEBSOCKET_ERROR") && /was closed with code/.test(messages);
}

/** True if a server rejected the token or does not have the database. */
export function isRefusal(error: unknown): boolean {
  const { status, messages } = examine(error);
  return status === 401 || status === 403 || isMissingDatabase.test(messages);
}

/** Messages of sqld and Turso for a missing database. */
export const isMissingDatabase = /Namespace.*does(n't| not) ?exist|NamespaceDoesntExist/i;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
