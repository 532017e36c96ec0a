import type { ConstraintKind, ConstraintRefusal } from "../../../errors.ts";

/** What a driver's error says, gathered over its chain of causes. */
export interface Symptoms {
  readonly codes: readonly string[];
  readonly messages: string;
  /** HTTP status of a refused request. */
  readonly status: number | null;
  /** How long the server asks to wait before the next request. */
  readonly retryAfterMs: number | null;
  /** The driver's own error: Drizzle's wrapper quotes the bound values in its message. */
  readonly origin: unknown;
}

export function examine(error: unknown): Symptoms {
  const codes: string[] = [];
  const messages: string[] = [];
  let status: number | null = null;
  let retryAfterMs: number | null = null;
  let origin: unknown = error;
  for (let link: unknown = error, depth = 0; isObject(link) && depth < 10; depth++) {
    // A DOMException has a number for its code, and says what it is by its name.
    for (const code of [link["extendedCode"], link["code"], link["name"]]) {
      if (typeof code === "string" && code !== "") codes.push(code);
    }
    const isDrizzleWrapper = link["name"] === "DrizzleQueryError" || "query" in link;
    if (isDrizzleWrapper) origin = link["cause"];
    else if (typeof link["message"] === "string") messages.push(link["message"]);
    if (typeof link["status"] === "number") status ??= link["status"];
    if (typeof link["retryAfterMs"] === "number") retryAfterMs ??= link["retryAfterMs"];
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
 * The constraint that refused a statement; null for any other failure.
 *
 * A file reports the kind as an extended code. A server reports it in the message only, where a trigger's own
 * message is free text.
 */
export function constraintOf({ codes, messages }: Symptoms): ConstraintRefusal | null {
  // ON DELETE RESTRICT has a trigger's extended code.
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

/** A JSON path that is none: what a guard asks for when it is to fail. The error quotes it. */
export const guardPath = "gorkflow_guard";

/** True when a guard undid its batch. */
export function isGuardFailure(error: unknown): boolean {
  return examine(error).messages.includes(guardPath);
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

/** True for an answer that came as an HTTP status, before or in the place of one of the database. */
export function isHttpAnswer(error: unknown): boolean {
  return examine(error).status !== null;
}

/** How long the server asked to wait with the next request; null when it did not say. */
export function pauseAskedFor(error: unknown): number | null {
  return examine(error).retryAfterMs;
}

/** True when a WebSocket was closed without a reason. */
export function isUnexplainedClosing(error: unknown): boolean {
  const { codes, messages } = examine(error);
  return codes.includes("HRANA_WEBSOCKET_ERROR") && /was closed with code/.test(messages);
}

/** True when a server refused a request for its token or its database. */
export function isRefusal(error: unknown): boolean {
  const { status, messages } = examine(error);
  return status === 401 || status === 403 || isMissingDatabase.test(messages);
}

/** How sqld and Turso say that a server does not have the database. */
export const isMissingDatabase = /Namespace.*does(n't| not) ?exist|NamespaceDoesntExist/i;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
