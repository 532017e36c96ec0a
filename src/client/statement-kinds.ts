/**
 * Where a statement may run.
 *
 * - `read`: on a reader.
 * - `state`: reads what belongs to the connection that writes: its last row id, its changes, its temporary tables.
 * - `with`: begins with a common table expression; only SQLite knows whether it writes.
 * - `write`: inside a transaction of the writer.
 * - `control`: begins or ends a transaction, and so cannot run inside one that is shared.
 * - `solitary`: has to be outside of a transaction, or is not known: PRAGMA, VACUUM, ATTACH and the like.
 */
export type StatementKind = "read" | "state" | "with" | "write" | "control" | "solitary";

const kinds: ReadonlyMap<string, StatementKind> = new Map(
  Object.entries({
    read: "select values explain",
    with: "with",
    write: "insert update delete replace create drop alter reindex analyze",
    control: "begin commit end rollback savepoint release",
  } satisfies Partial<Record<StatementKind, string>>).flatMap(([kind, keywords]) =>
    keywords.split(" ").map((keyword) => [keyword, kind as StatementKind] as const),
  ),
);

export function kindOf(sql: string): StatementKind {
  const kind = kinds.get(keywordOf(sql)) ?? "solitary";
  return kind === "read" && readsState.test(sql) ? "state" : kind;
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
