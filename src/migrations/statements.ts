/** What separates the statements of a migration that drizzle-kit wrote. */
const breakpoint = "--> statement-breakpoint";

/** The statements of a migration file, in order. */
export function statementsOf(sql: string): string[] {
  return sql
    .split(breakpoint)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}
