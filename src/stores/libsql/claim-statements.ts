import {
  and,
  asc,
  eq,
  inArray,
  isNull,
  lte,
  or,
  sql,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../schema/tables.ts";
import { inlineDetails, limitTo, listOf, pick } from "./fragments.ts";
import { summaryProperties } from "./run-statements.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/** More workflows than this are not walked one by one. */
const maxWalkedWorkflows = 50;

/** How a claim is narrowed: `null` for any workflow, else the number of those it names. */
export interface ClaimShape {
  readonly workflows: number | null;
}

export type ClaimArgument =
  | "workerId"
  | "leaseExpiresAt"
  | "now"
  | "limit"
  | "workflowIds"
  | `workflow${number}`;

export function createClaimStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  const properties = summaryProperties(codecs);

  return {
    /**
     * Claims the oldest eligible runs: rows of `summaryProperties`; a last cell tells the bytes of `error` and
     * `tags`, which come with it when they are small.
     *
     * RETURNING carries neither payloads nor large details: an answer that a server refuses for its size
     * would leave the runs claimed by somebody who does not know of it.
     */
    claim: statementFamily(
      ({ workflows }: ClaimShape) => String(workflows),
      (shape) =>
        defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) => {
          const limit = limitTo(argument("limit"));
          const keys = (
            where: SQL | undefined,
            order: readonly [SQLWrapper, SQLWrapper] = [runs.createdAt, runs.runId],
          ) => {
            const oldest = target
              .select({ runId: runs.runId, createdAt: runs.createdAt })
              .from(runs)
              .where(and(where, isReadable()))
              .orderBy(asc(order[0]), asc(order[1]))
              .limit(limit)
              .as("oldest");
            return target.select({ runId: oldest.runId, createdAt: oldest.createdAt }).from(oldest);
          };
          const namedAmong = (workflowId: SQL) =>
            shape.workflows === null
              ? undefined
              : inArray(workflowId, listOf(argument("workflowIds")));
          // The unary plus keeps the status and the order from choosing the index: all that run, and all that
          // there are, are more than those whose lease ran out.
          const expired = and(
            eq(sql`+${runs.status}`, "RUNNING"),
            lte(runs.leaseExpiresAt, argument("now")),
            namedAmong(sql`+${runs.workflowId}`),
          );
          const [pending, ...others] = pendingConditions(
            shape,
            namedAmong(sql`${runs.workflowId}`),
            argument,
          );
          const eligible = unionAll(
            keys(expired, [sql`+${runs.createdAt}`, sql`+${runs.runId}`]),
            keys(pending),
            ...others.map((condition) => keys(condition)),
          );
          const chosen = sql`(select run_id from (select * from (${eligible}) order by 2, 1 limit ${argument("limit")}))`;
          return target
            .update(runs)
            .set({
              status: sql`'RUNNING'`,
              workerId: argument("workerId"),
              leaseExpiresAt: argument("leaseExpiresAt"),
              attempt: sql`${runs.attempt} + 1`,
              revision: sql`${runs.revision} + 1`,
              startedAt: sql`coalesce(${runs.startedAt}, ${argument("now")})`,
              updatedAt: argument("now"),
            })
            .where(inArray(runs.runId, chosen))
            .returning({
              ...pick(runs, properties),
              ...inlineDetails(tables),
            });
        }),
    ),
  };

  /** A run whose details are not JSON cannot be handed out; it must not stand in the way of others. */
  function isReadable(): SQL | undefined {
    return and(
      or(isNull(runs.error), sql`json_valid(${runs.error})`),
      or(isNull(runs.tags), sql`json_valid(${runs.tags})`),
    );
  }

  /** One condition for each walk over PENDING runs: the index by workflow is in order within one workflow. */
  function pendingConditions(
    { workflows }: ClaimShape,
    named: SQL | undefined,
    argument: ArgumentReference<ClaimArgument>,
  ): [SQL | undefined, ...(SQL | undefined)[]] {
    const pending = eq(runs.status, "PENDING");
    if (workflows === null || workflows === 0 || workflows > maxWalkedWorkflows) {
      return [and(pending, named)];
    }
    const walk = (index: number) => and(pending, eq(runs.workflowId, argument(`workflow${index}`)));
    return [walk(0), ...Array.from({ length: workflows - 1 }, (_, index) => walk(index + 1))];
  }
}
