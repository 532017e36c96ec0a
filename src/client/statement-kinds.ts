import { tokensOf } from "../sql-tokens.ts";

/**
 * Where a statement may run.
 *
 * - `read`: on a reader.
 * - `state`: on the writer, because it reads the last row id or the number of changes of the connection.
 * - `write`: on the writer, in a transaction that it may share.
 * - `control`: alone on the writer, because it begins or ends a transaction.
 * - `solitary`: alone and outside a transaction: PRAGMA, VACUUM, ATTACH and unknown statements.
 */
export type StatementKind = "read" | "state" | "write" | "control" | "solitary";

const kinds: ReadonlyMap<string, StatementKind> = new Map(
  Object.entries({
    read: "select values explain",
    write: "insert update delete replace create drop alter reindex analyze",
    control: "begin commit end rollback savepoint release",
  } satisfies Partial<Record<StatementKind, string>>).flatMap(([kind, keywords]) =>
    keywords.split(" ").map((keyword) => [keyword, kind as StatementKind] as const),
  ),
);

export function kindOf(sql: string): StatementKind {
  const keyword = keywordOf(sql);
  const kind = kinds.get(keyword === "with" ? keywordBehindWith(sql) : keyword) ?? "solitary";
  return kind === "read" && readsState(sql) ? "state" : kind;
}

/** If one of these words is a name, a query counts as a write, which has the same result. */
const writesOrReads = /^(?:select|values|insert|replace|update|delete)$/i;

/** The keyword after the common table expressions of a statement, which are in parentheses. */
function keywordBehindWith(sql: string): string {
  let depth = 0;
  for (const { kind, text } of tokensOf(sql)) {
    if (text === "(") depth += 1;
    else if (text === ")") depth -= 1;
    else if (depth === 0 && kind === "word" && writesOrReads.test(text)) return text.toLowerCase();
  }
  // SQLite rejects it.
  return "select";
}

const stateFunction = /\b(?:last_insert_rowid|changes|total_changes)\b/i;

/** True if a query calls one of the functions. A table or a column may have the same name. */
function readsState(sql: string): boolean {
  if (!stateFunction.test(sql)) return false;
  let previous = "";
  for (const { text } of tokensOf(sql)) {
    if (text === "(" && stateFunction.test(previous)) return true;
    previous = text;
  }
  return false;
}

/** True for SQL that may create tables or databases which only its connection can see. */
export function mayBindConnection(sql: string): boolean {
  return /\b(?:temp|temporary|attach)\b/i.test(sql);
}

/** The first keyword, after comments, white space and semicolons. */
export function keywordOf(sql: string): string {
  for (const { kind, text } of tokensOf(sql)) {
    if (text !== ";") return kind === "word" ? text.toLowerCase() : "";
  }
  return "";
}
