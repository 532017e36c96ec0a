/**
 * Where a statement may run.
 *
 * - `read`: on a reader.
 * - `with`: begins with a common table expression; only SQLite knows whether it writes.
 * - `write`: inside a transaction of the writer.
 * - `control`: begins or ends a transaction, and so cannot run inside one that is shared.
 * - `solitary`: has to be outside of a transaction, or is not known: PRAGMA, VACUUM, ATTACH and the like.
 */
export type StatementKind = "read" | "with" | "write" | "control" | "solitary";

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
  return kinds.get(keywordOf(sql)) ?? "solitary";
}

/** The first keyword, after comments, blanks and stray semicolons. */
export function keywordOf(sql: string): string {
  const [, keyword = ""] = /^(?:\s|;|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*([a-z]*)/i.exec(sql) ?? [];
  return keyword.toLowerCase();
}

/** True when a script may be wrapped into one transaction. A trigger's `begin` makes it false, needlessly. */
export function canShareTransaction(script: string): boolean {
  return !/\b(begin|commit|end|rollback|savepoint|release|pragma|vacuum|attach|detach)\b/i.test(
    script,
  );
}
