import { statementsOf } from "../sql-tokens.ts";

/** drizzle-kit writes this between the statements of a migration. */
const breakpoint = "--> statement-breakpoint";

/** The parts of a migration file between its breakpoints, in order. Each should be one statement. */
export function chunksOf(sql: string): string[] {
  return sql.split(breakpoint).map((chunk) => chunk.trim());
}

/** The parts of a migration file that have a statement, in order. */
export function writtenChunksOf(sql: string): string[] {
  return chunksOf(sql).filter((chunk) => statementsOf(chunk).length > 0);
}
