import { maxRowBytes } from "../../../drivers/cloudflare.ts";
import { InvalidValueError } from "../../../errors.ts";
import { examine } from "../errors/symptoms.ts";
import type { BoundStatement } from "../statements/statement.ts";

/** @throws {InvalidValueError} if the database would reject the values of a statement. */
export function checkSizes(statements: readonly BoundStatement[]): void {
  for (const statement of statements) {
    const bytes = statement.sizes().reduce((sum, [, each]) => sum + each, 0);
    if (bytes > maxRowBytes) throw tooLarge([statement]);
  }
}

/** Names the field if the database rejected a row that is too large together with the columns that it had before. */
export function nameLargest(statements: readonly BoundStatement[]) {
  return (error: unknown): never => {
    throw examine(error).codes.includes("SQLITE_TOOBIG") ? tooLarge(statements, error) : error;
  };
}

function tooLarge(statements: readonly BoundStatement[], cause?: unknown): InvalidValueError {
  const [[path] = [""]] = statements
    .flatMap((statement) => statement.sizes())
    .toSorted(([, one], [, other]) => other - one);
  const reason = `the row would have more than ${maxRowBytes} bytes, the limit of the database`;
  return new InvalidValueError({ path, reason }, { cause });
}
