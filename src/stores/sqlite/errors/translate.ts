import { getTableName } from "drizzle-orm";
import {
  CorruptRowError,
  ConstraintError,
  GorkflowError,
  InvalidArgumentError,
  SchemaOutOfDateError,
  StoreBusyError,
  StoreClosedError,
  StoreConnectionError,
  StoreFullError,
  UnsupportedError,
} from "../../../errors.ts";
import { tables } from "../../../schema/tables.ts";
import { constraintOf, examine, guardPath, isMissingDatabase, type Symptoms } from "./symptoms.ts";

/** The kind of the failed statement. After a lost connection, the outcome of a write is unknown. */
export type Attempt = "read" | "write";

/**
 * Translates an error of a driver. The same cause gives the same class, `outcome` and `retryable` on all backends and
 * protocols.
 *
 * A write has the outcome `none` only if the database rejected it, the server did not process the statements, or no
 * connection was made.
 */
export function translateError(error: unknown, attempt: Attempt): GorkflowError {
  if (error instanceof GorkflowError) return error;
  const symptoms = examine(error);
  if (isOfGateway(symptoms)) {
    return lost("the connection to the server failed")({ cause: symptoms.origin }, attempt);
  }
  if (isForbiddenByGateway(symptoms)) {
    const reason = "something in front of the server, a firewall for example, refused the request";
    return doubtful(reason)({ cause: symptoms.origin }, attempt);
  }
  const unreadable = brokenCellOf(symptoms.origin);
  if (unreadable !== null) {
    return new CorruptRowError({ ...unreadable, key: {} }, { cause: symptoms.origin });
  }
  const constraint = constraintOf(symptoms);
  if (constraint !== null) return new ConstraintError(constraint, { cause: symptoms.origin });
  const cause = causes.find((candidate) => fits(candidate, symptoms));
  if (cause !== undefined) return cause.make({ cause: symptoms.origin }, attempt);
  const code = symptoms.codes.find((each) => databaseCode.test(each));
  const options = { cause: symptoms.origin };
  return code === undefined
    ? lost("no answer came that is one of a database")(options, attempt)
    : refused(`the database refused a statement (${code})`)(options);
}

/** A handler for `catch` that throws the translated error. */
export const rethrow =
  (attempt: Attempt) =>
  (error: unknown): never => {
    throw translateError(error, attempt);
  };

/** The cell whose text is not UTF-8, which our client names in an error of its own. */
function brokenCellOf(error: unknown): { readonly table: string; readonly column: string } | null {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "TEXT_NOT_UTF8")
    return null;
  const { table, column } = error.cause as { readonly table: string; readonly column: string };
  return { table, column };
}

/** Codes that only a database returns, after it has rolled back the statements. */
const databaseCode = /^(SQLITE_|SQL_|ARGS_|BATCH_)/;

/** True for a response that may be from a gateway, and then says nothing about the database. */
function isOfGateway({ status }: Symptoms): boolean {
  return status !== null && status >= 500;
}

/** True for a page, which a libSQL server never sends. A firewall may replace the response to a write by one. */
function isForbiddenByGateway({ status, codes }: Symptoms): boolean {
  return (status === 401 || status === 403) && codes.includes("HTTP_PAGE");
}

/** A cause of failure and its symptoms, one of which must match. */
interface Cause {
  readonly codes?: RegExp;
  readonly says?: RegExp;
  readonly status?: (status: number) => boolean;
  readonly make: (options: ErrorOptions, attempt: Attempt) => GorkflowError;
}

function fits({ codes, says, status }: Cause, symptoms: Symptoms): boolean {
  return (
    (codes !== undefined && symptoms.codes.some((code) => codes.test(code))) ||
    (says?.test(symptoms.messages) ?? false) ||
    (symptoms.status !== null && (status?.(symptoms.status) ?? false))
  );
}

/** Nothing was written. A retry would fail too. */
const refused = (reason: string) => (options: ErrorOptions) =>
  new StoreConnectionError({ reason }, options);

/** Nothing was written. The same call may succeed later. */
const notYet = (reason: string) => (options: ErrorOptions) =>
  new StoreConnectionError({ reason, retryable: true }, options);

/** It was rejected, perhaps not by the database. A retry would fail too. */
const doubtful = (reason: string) => (options: ErrorOptions, attempt: Attempt) =>
  new StoreConnectionError({ reason, outcome: attempt === "write" ? "unknown" : "none" }, options);

/** It was sent, and no response arrived. */
const lost = (reason: string) => (options: ErrorOptions, attempt: Attempt) =>
  new StoreConnectionError(
    { reason, outcome: attempt === "write" ? "unknown" : "none", retryable: true },
    options,
  );

/** The names of our tables end with these, after the prefix. */
const ownTables = Object.values(tables).map(getTableName).join("|");

/** SQLite's message for a table or a column that is missing, but is not ours. Only a trigger of the app can use it. */
const missingInTrigger = new RegExp(
  `no such column: (?:new|old)\\.|(?:no such table: |\\btable )(?!\\S*(?:${ownTables})\\b)(?:\\S+$|\\S+ has no column named)`,
  "im",
);

/**
 * The first match applies. Codes are those of SQLite, the Hrana protocol, Node's sockets and fetch. Replicas and embedded
 * replicas have the reason only in the message.
 */
const causes: readonly Cause[] = [
  { says: new RegExp(guardPath), make: refused("a precondition of the batch does not hold") },
  {
    codes: /^SQLITE_(BUSY|LOCKED)/,
    says: /database (table )?is locked|SQL statements in progress/,
    make: (options) => new StoreBusyError("the database is locked by another connection", options),
  },
  {
    codes: /^LIBRARY_ERROR$/,
    make: refused(
      "a statement failed with an error that is not one of SQLite: of a function of the app, for example",
    ),
  },
  {
    says: /D1 DB is overloaded/,
    make: (options) => new StoreBusyError("the database has too many requests", options),
  },
  {
    says: /Too many (API requests|subrequests) by single Worker invocation/i,
    make: refused(
      "this invocation of the Worker has made as many requests as its plan allows: continue in the next one",
    ),
  },
  {
    says: /D1 DB(?:'s isolate)? exceeded its (CPU time|memory) limit/,
    make: doubtful("the statements need more time or memory than D1 allows"),
  },
  {
    codes: /^TRANSACTION_ACTIVE$/,
    make: (options) =>
      new StoreBusyError("open transactions use all connections of the client", options),
  },
  {
    codes: /^CLIENT_CLOSED$/,
    // A WebSocket that the server closed has this code too, with the code of the reason.
    says: /The client is closed|Client is closed: ClientError|database connection is not open/,
    make: (options) => new StoreClosedError(options),
  },
  {
    says: /Client was (manually )?closed/,
    make: (options, attempt) =>
      attempt === "read"
        ? new StoreClosedError(options)
        : lost("the store was closed before the server answered")(options, attempt),
  },
  {
    // The cause is left out, because its message may contain a URL with a token.
    codes: /^(URL_\w+|ERR_INVALID_URL)$/,
    make: () =>
      new InvalidArgumentError({ argument: "url", reason: "is not the URL of a database" }),
  },
  {
    codes: /^SYNC_NOT_SUPPORTED$/,
    make: (options) =>
      new UnsupportedError(
        { feature: "sync", reason: "the store has no copy of a server: open it with syncUrl" },
        options,
      ),
  },
  {
    codes: /^AUTH_/,
    says: /status: Unauthenticated/,
    status: (status) => status === 401,
    make: refused("the server refused the auth token: it is missing, wrong or expired"),
  },
  {
    says: /status: PermissionDenied|Authorization forbidden|Write permission/,
    status: (status) => status === 403,
    make: refused("the auth token does not allow this: it only reads, or is for another database"),
  },
  {
    codes: /^BLOCKED$/,
    make: refused("the server blocks this operation: a limit of the plan is reached"),
  },
  { says: isMissingDatabase, make: refused("the server has no such database") },
  {
    says: /Cannot find (?:module|package) '(?:@libsql\/(?:linux|darwin|win32)|libsql')/,
    make: (options) =>
      new UnsupportedError(
        {
          feature: "local databases",
          reason:
            "the native package of libsql for this platform (@libsql/linux-x64-gnu, @libsql/darwin-arm64, …) is not " +
            "installed: install with optional dependencies; a bundler must leave libsql external, and node_modules " +
            "with libsql and its native package must be shipped beside the bundle",
        },
        options,
      ),
  },
  {
    codes: /^TABLE_HIDDEN$/,
    make: (options) =>
      refused((options.cause as Error).message.replaceAll("TABLE_HIDDEN: ", ""))(options),
  },
  {
    // Turso returns this if the server of the stream is gone.
    says: /stream not found/i,
    make: notYet("the server has ended the stream of this call"),
  },
  {
    status: (status) => status === 404 || status === 405 || status === 410,
    make: doubtful("the server has no such database, or is not a libSQL server"),
  },
  {
    says: missingInTrigger,
    make: refused(
      "a trigger on the tables failed, because it uses a table or a column that does not exist",
    ),
  },
  {
    says: /no such (table|column)|has no column named|ON CONFLICT clause does not match/,
    make: (options) =>
      new SchemaOutOfDateError(
        "the database lacks tables or columns of this version: run `gorkflow migrate`, or apply the new migrations",
        options,
      ),
  },
  {
    codes: /^(TRANSACTION_TIMEOUT|STREAM_EXPIRED|TRANSACTION_CLOSED|TRANSACTION_BUSY)$/,
    says: /no transaction is active|Transaction timed-?out|invalid baton/i,
    make: notYet(
      "the transaction is over: it was ended before this, for example by a trigger that raises ROLLBACK, or by the server, " +
        "where it has 5 seconds",
    ),
  },
  {
    codes: /^(RESPONSE_TOO_LARGE|SQLITE_TOOBIG)$/,
    says: /string or blob too big|response is too large/i,
    status: (status) => status === 413,
    make: refused("a row or an answer is larger than the server allows"),
  },
  {
    codes: /^SQLITE_NOTADB/,
    make: refused("the file is not a database, or its encryption key is another"),
  },
  { codes: /^SQLITE_CORRUPT/, make: refused("the database file is corrupt") },
  {
    codes: /^SQLITE_FULL/,
    says: /database or disk is full|Exceeded maximum DB size|maximum account storage limit/,
    make: (options) => new StoreFullError(options),
  },
  {
    codes: /^SQLITE_READONLY_DBMOVED/,
    make: refused(
      "the database file was deleted, moved or replaced while it was open: close the store and open it again",
    ),
  },
  { codes: /^SQLITE_READONLY/, make: refused("the database is read-only") },
  { codes: /^SQLITE_CANTOPEN/, make: refused("the database file cannot be opened") },
  {
    // On a full disk, growing the shared memory file fails.
    codes: /^SQLITE_IOERR_SHM(?!SIZE)/,
    make: refused(
      "the database cannot have a write-ahead log where its file is, a network file system for example: open it " +
        'with journalMode "delete" and from one machine',
    ),
  },
  { codes: /^SQLITE_IOERR/, make: refused("the database file cannot be read or written") },
  {
    codes: /^ENOTFOUND$/,
    says: /getaddrinfo ENOTFOUND|dns error/,
    make: refused("the server's host is not known"),
  },
  {
    codes: /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$)/,
    says: /SSL routines|certificate|InvalidContentType/,
    make: refused(
      "no secure connection to the server: it speaks no TLS, or its certificate is not valid",
    ),
  },
  {
    codes: /^(ECONNREFUSED|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/,
    says: /connect ECONNREFUSED|getaddrinfo EAI_AGAIN|error trying to connect|PrimaryHandshakeTimeout/,
    make: notYet("the server cannot be reached"),
  },
  { status: (status) => status === 429, make: notYet("the server has too many requests") },
  {
    codes: /^(TimeoutError|AbortError|UND_ERR_(HEADERS|BODY)_TIMEOUT)$/,
    status: (status) => status === 408,
    make: lost("the server did not answer in time"),
  },
  {
    codes: /^(E[A-Z]+|UND_ERR_\w+|HRANA_(WEBSOCKET|CLOSED|PROTO)_ERROR)$/,
    says: /fetch failed|network connection lost|caused object to be reset|because its code was updated|transient issue on remote node|transport error|connection (closed|reset)|broken pipe|h2 protocol error|status: (Unavailable|Unknown|Internal)/i,
    make: lost("the connection to the server failed"),
  },
  {
    status: (status) => status >= 400,
    make: doubtful("the server, or something in front of it, refused the request"),
  },
];
