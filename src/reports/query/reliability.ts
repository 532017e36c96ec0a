import { count, sql, type SQL } from "drizzle-orm";
import { integer, real } from "../../schema/columns.ts";
import type { Expression } from "./query.ts";

/** The columns of a report on failures and retries of steps. */
export const reliabilityColumns = () => ({
  executions: integer("executions").notNull(),
  failed: integer("failed").notNull(),
  failureRate: real("failure_rate").notNull(),
  retried: integer("retried").notNull(),
  retries: integer("retries").notNull(),
});

/** The failures and retries of a group of steps that are COMPLETED or FAILED. */
export function reliabilityOf({
  status,
  attempt,
}: {
  readonly status: Expression;
  readonly attempt: Expression;
}): Record<keyof ReturnType<typeof reliabilityColumns>, SQL> {
  const failed = sql`count(*) filter (where ${status} = 'FAILED')`;
  const isRetried = sql`filter (where ${attempt} > 1)`;
  return {
    executions: count(),
    failed,
    failureRate: sql`1.0 * ${failed} / count(*)`,
    retried: sql`count(*) ${isRetried}`,
    // A sum in floating point cannot overflow with an error.
    retries: sql`cast(total(${attempt} - 1) ${isRetried} as integer)`,
  };
}
