/** What separates the statements of a migration that drizzle-kit wrote. */
const breakpoint = "--> statement-breakpoint";

/** The parts of a migration file between its breakpoints, in order. Each should be one statement. */
export function chunksOf(sql: string): string[] {
  return sql.split(breakpoint).map((chunk) => chunk.trim());
}

/** The statements of a migration file, in order. */
export function statementsOf(sql: string): string[] {
  return chunksOf(sql).filter((chunk) => countStatements(chunk) > 0);
}

/** What a semicolon means nothing in: strings, quoted names, comments. */
const opaque =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[^]*?(?:\*\/|$)/g;

/**
 * How many statements SQLite would see in `sql`. A driver that runs one statement a call runs the first, and
 * says nothing of the others.
 */
export function countStatements(sql: string): number {
  const plain = sql.replace(opaque, (text) => (/^(--|\/\*)/.test(text) ? " " : "x"));
  // The body of a trigger has semicolons of its own, up to its `end`.
  const folded = plain.replace(
    /\bcreate\s+(?:temp(?:orary)?\s+)?trigger\b[^]*?\bbegin\b[^]*?;\s*end\b/gi,
    "x",
  );
  return folded.split(";").filter((statement) => statement.trim() !== "").length;
}

/** A script of transactions for tools of one's own. Foreign keys are off in it: dropping a table deletes no row. */
export function sqlScript(heading: string, transactions: readonly (readonly string[])[]): string {
  return [
    heading,
    "PRAGMA foreign_keys=OFF;",
    ...transactions.flat().map((each) => (countStatements(each) === 0 ? each : terminated(each))),
    "PRAGMA foreign_keys=ON;",
    "",
  ].join("\n");
}

function terminated(statement: string): string {
  return statement.trimEnd().replace(/;?$/, ";");
}
