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
  /** Whether it leaves versions of workflows alone. */
  readonly excepts: boolean;
}

export type ClaimArgument =
  | "workerId"
  | "leaseExpiresAt"
  | "now"
  | "limit"
  | "workflowIds"
  | "except"
  | `workflow${number}`;

export function createClaimStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  const properties = summaryProperties(codecs);
  /** Since when a run could be claimed: `compareClaims` has the same order. */
  const since = sql<number>`coalesce(${runs.wakeAt}, ${runs.createdAt})`;

  return {
    /**
     * Claims the eligible runs that have waited longest: rows of `summaryProperties`; a last cell tells the bytes
     * of `error` and `tags`, which come with it when they are small.
     *
     * RETURNING carries neither payloads nor large details: an answer that a server refuses for its size
     * would leave the runs claimed by somebody who does not know of it.
     */
    claim: statementFamily(
      ({ workflows, excepts }: ClaimShape) => `${workflows}/${excepts}`,
      (shape) =>
        defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) => {
          const limit = limitTo(argument("limit"));
          const first = ({ where, order }: Walk) => {
            const found = target
              .select({ since: since.as("since"), createdAt: runs.createdAt, runId: runs.runId })
              .from(runs)
              .where(and(where, isWanted(shape, argument), isReadable()))
              .orderBy(...order.map((column) => asc(column)))
              .limit(limit)
              .as("found");
            return target
              .select({ since: found.since, createdAt: found.createdAt, runId: found.runId })
              .from(found);
          };
          const [ready, ...others] = pendingWalks(shape, argument);
          const eligible = unionAll(
            first(expiredWalk(shape, argument)),
            first(ready),
            ...others.map(first),
          );
          const chosen = sql`(select run_id from (select * from (${eligible}) order by 1, 2, 3 limit ${argument("limit")}))`;
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

  function isWanted(
    { excepts }: ClaimShape,
    argument: ArgumentReference<ClaimArgument>,
  ): SQL | undefined {
    if (!excepts) return undefined;
    return sql`not exists (select 1 from json_each(${argument("except")}) as version
      where version.value ->> 0 = ${runs.workflowId}
        and version.value ->> 1 = ${runs.workflowVersion})`;
  }

  /** A run whose details are not JSON cannot be handed out; it must not stand in the way of others. */
  function isReadable(): SQL | undefined {
    return and(
      or(isNull(runs.error), sql`json_valid(${runs.error})`),
      or(isNull(runs.tags), sql`json_valid(${runs.tags})`),
    );
  }

  /**
   * RUNNING whose lease ran out. The unary plus keeps the status and the workflow from choosing the index: all that
   * run are more than those.
   */
  function expiredWalk(shape: ClaimShape, argument: ArgumentReference<ClaimArgument>): Walk {
    return {
      where: and(
        eq(sql`+${runs.status}`, "RUNNING"),
        lte(runs.leaseExpiresAt, argument("now")),
        namedAmong(sql`+${runs.workflowId}`, shape, argument),
      ),
      order: [since, sql`+${runs.createdAt}`, sql`+${runs.runId}`],
    };
  }

  /**
   * PENDING that does not wait, by creation, and PENDING whose time has come, by that time: each walk stops at the
   * limit. For a few workflows an index is in that order within each of them.
   */
  function pendingWalks(
    shape: ClaimShape,
    argument: ArgumentReference<ClaimArgument>,
  ): [Walk, ...Walk[]] {
    const isReady = isNull(runs.wakeAt);
    const isDue = lte(runs.wakeAt, argument("now"));
    const byCreation = [runs.createdAt, runs.runId];
    const byTime = [runs.wakeAt, runs.createdAt, runs.runId];
    if (!isWalkedByWorkflow(shape)) {
      const named = namedAmong(sql`+${runs.workflowId}`, shape, argument);
      return [
        { where: and(eq(runs.status, "PENDING"), isReady, named), order: byCreation },
        // As above: those that wait are fewer than those that are PENDING.
        { where: and(eq(sql`+${runs.status}`, "PENDING"), isDue, named), order: byTime },
      ];
    }
    // Spelled out, as the partial index has it: a bound value would not tell SQLite that it applies.
    const pending = sql`${runs.status} = 'PENDING'`;
    const walksOf = (index: number): [Walk, Walk] => {
      const own = and(pending, eq(runs.workflowId, argument(`workflow${index}`)));
      return [
        { where: and(own, isReady), order: byCreation },
        { where: and(own, isDue), order: byTime },
      ];
    };
    const others = Array.from({ length: shape.workflows - 1 }, (_, index) => walksOf(index + 1));
    return [...walksOf(0), ...others.flat()];
  }
}

/** A way through the runs, in the order of an index, to those that are claimed first. */
interface Walk {
  readonly where: SQL | undefined;
  readonly order: readonly SQLWrapper[];
}

function isWalkedByWorkflow(
  shape: ClaimShape,
): shape is ClaimShape & { readonly workflows: number } {
  return shape.workflows !== null && shape.workflows > 0 && shape.workflows <= maxWalkedWorkflows;
}

function namedAmong(
  workflowId: SQL,
  { workflows }: ClaimShape,
  argument: ArgumentReference<ClaimArgument>,
): SQL | undefined {
  return workflows === null ? undefined : inArray(workflowId, listOf(argument("workflowIds")));
}
