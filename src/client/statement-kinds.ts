import { tokensOf } from "./sql-tokens.ts";

/**
 * Where a statement may run.
 *
 * - `read`: on a reader.
 * - `state`: reads what belongs to the connection that writes: its last row id, its changes, its temporary tables.
 * - `write`: inside a transaction of the writer.
 * - `control`: begins or ends a transaction, and so cannot run inside one that is shared.
 * - `solitary`: has to be outside of a transaction, or is not known: PRAGMA, VACUUM, ATTACH and the like.
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
  return kind === "read" && readsState.test(sql) ? "state" : kind;
}

/** Any of these is a statement's own, unless it is a name: then a query is taken for a write, and answered alike. */
const writesOrReads = /^(?:select|values|insert|replace|update|delete)$/i;

/** What a statement does that begins with common table expressions, which stand in parentheses. */
function keywordBehindWith(sql: string): string {
  let depth = 0;
  for (const { kind, text } of tokensOf(sql)) {
    if (text === "(") depth += 1;
    else if (text === ")") depth -= 1;
    else if (depth === 0 && kind === "word" && writesOrReads.test(text)) return text.toLowerCase();
  }
  // SQLite will refuse it.
  return "select";
}

const readsState = /\b(?:last_insert_rowid|changes|total_changes|temp|sqlite_temp\w*)\b/i;

/** True for text that gives its connection tables which no other connection has. */
export function bindsConnection(sql: string): boolean {
  return /\b(?:temp|temporary|attach)\b/i.test(sql);
}

/** The first keyword, after comments, blanks and stray semicolons. */
export function keywordOf(sql: string): string {
  const [, keyword = ""] = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*([a-z]*)/i.exec(sql) ?? [];
  return keyword.toLowerCase();
}
