import {
  and,
  asc,
  eq,
  inArray,
  isNull,
  lte,
  notInArray,
  or,
  sql,
  type SQL,
  type SQLWrapper,
} from "drizzle-orm";
import type { WorkflowVersion } from "../../../model/leases.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { inlineDetails, limitTo, listOf, pick } from "./fragments.ts";
import { summaryProperties } from "./runs.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/**
 * Versions up to this number have their own arguments in the statement. More come as one JSON list, which takes 5 µs for
 * each of them at any number, but 20 µs more for one alone.
 */
const maxSpelledOut = 10;

/** How a claim is narrowed: to any run, to a number of versions that are spelled out, or to a list of versions. */
type ClaimShape = number | "any" | "list";

type ClaimArgument =
  | "workerId"
  | "leaseExpiresAt"
  | "now"
  | "limit"
  | "versions"
  | "activeRunIds"
  | `workflow${number}`
  | `version${number}`;

export function claimShape(versions: readonly WorkflowVersion[] | undefined): ClaimShape {
  if (versions === undefined) return "any";
  return versions.length <= maxSpelledOut ? versions.length : "list";
}

/** The arguments that narrow a claim of this shape. */
export function claimArguments(
  versions: readonly WorkflowVersion[] = [],
): Partial<Record<ClaimArgument, string>> {
  if (versions.length > maxSpelledOut) {
    const pairs = versions.map(({ workflowId, workflowVersion }) => [workflowId, workflowVersion]);
    return { versions: JSON.stringify(pairs) };
  }
  return Object.fromEntries(
    versions.flatMap(({ workflowId, workflowVersion }, index) => [
      [`workflow${index}`, workflowId],
      [`version${index}`, workflowVersion],
    ]),
  );
}

export function createClaimStatements(db: Database, tables: WorkflowTables, codecs: RowCodecs) {
  const runs = tables.workflowRuns;
  const properties = summaryProperties(codecs);
  /** Since when a run could be claimed: `compareClaims` has the same order. */
  const since = sql<number>`coalesce(${runs.wakeAt}, ${runs.createdAt})`;
  /** The order of `compareClaims` in a walk that no index has in it. */
  const unindexedOrder = [since, sql`+${runs.createdAt}`, sql`+${runs.runId}`];
  const running = eq(sql`+${runs.status}`, "RUNNING");

  return {
    /**
     * Claims the eligible runs that have waited longest: rows of `summaryProperties`; a last cell tells the bytes
     * of `error` and `tags`, which come with it when they are small.
     *
     * RETURNING carries neither payloads nor large details: an answer that a server refuses for its size
     * would leave the runs claimed by somebody who does not know of it.
     */
    claim: statementFamily(String, (shape: ClaimShape) =>
      defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) => {
        const found = sql.join(
          claimedWalks(shape, argument).map((walk) => firstOf(target, walk, argument)),
          sql` union all `,
        );
        const chosen = sql`(select run_id from (${found} order by 1, 2, 3 limit ${argument("limit")}))`;
        return target
          .update(runs)
          .set({
            status: sql`'RUNNING'`,
            workerId: argument("workerId"),
            leaseExpiresAt: argument("leaseExpiresAt"),
            attempt: sql`${runs.attempt} + 1`,
            revision: sql`${runs.revision} + 1`,
            lostLeases: sql`${runs.lostLeases} + (${runs.status} = 'RUNNING')`,
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

  /** The runs of a walk that are claimed first, with what orders them among those of others. */
  function firstOf(
    target: Database,
    { each, where, order }: Walk,
    argument: ArgumentReference<ClaimArgument>,
  ): SQL {
    const place = { since: since.as("since"), createdAt: runs.createdAt, runId: runs.runId };
    const first = target
      .select(each ? { runId: runs.runId } : place)
      .from(runs)
      .where(and(where, isReadable()))
      .orderBy(...order.map((column) => asc(column)))
      .limit(limitTo(argument("limit")));
    if (!each) return sql`select * from ${first}`;
    // SQLite has no lateral join: the walk is a list of ids for each version.
    return sql`select ${since}, ${runs.createdAt}, ${runs.runId}
      from json_each(${argument("versions")}) as named cross join ${runs}
      where ${runs.runId} in ${first}`;
  }

  /** A run whose details are not JSON cannot be handed out; it must not stand in the way of others. */
  function isReadable(): SQL | undefined {
    return and(
      or(isNull(runs.error), sql`json_valid(${runs.error})`),
      or(isNull(runs.tags), sql`json_valid(${runs.tags})`),
    );
  }

  function claimedWalks(
    shape: ClaimShape,
    argument: ArgumentReference<ClaimArgument>,
  ): readonly Walk[] {
    if (shape === "any") return walksOfAny(argument);
    if (shape === "list") {
      const [workflowId, version] = [sql`named.value ->> 0`, sql`named.value ->> 1`];
      return walksOf({ workflowId, version, each: true }, argument);
    }
    return Array.from({ length: shape }, (_, index) =>
      walksOf(
        {
          workflowId: argument(`workflow${index}`),
          version: argument(`version${index}`),
          each: false,
        },
        argument,
      ),
    ).flat();
  }

  /**
   * The walks of one version of a workflow: PENDING that does not wait, by creation; PENDING whose time has come, by that
   * time; and RUNNING whose lease has expired. The first two stop at the limit. None of them meets a run of another
   * version.
   */
  function walksOf(
    { workflowId, version, each }: { workflowId: SQL; version: SQL; each: boolean },
    argument: ArgumentReference<ClaimArgument>,
  ): readonly Walk[] {
    const own = and(eq(runs.workflowId, workflowId), eq(runs.workflowVersion, version));
    // Spelled out, as the partial index has it: a bound value would not tell SQLite that it applies.
    const pending = and(sql`${runs.status} = 'PENDING'`, own);
    const isDue = lte(runs.wakeAt, argument("now"));
    return [
      { each, where: and(pending, isNull(runs.wakeAt)), order: [runs.createdAt, runs.runId] },
      { each, where: and(pending, isDue), order: [runs.wakeAt, runs.createdAt, runs.runId] },
      { each, where: and(own, isExpired(argument)), order: unindexedOrder },
    ];
  }

  function isExpired(argument: ArgumentReference<ClaimArgument>): SQL | undefined {
    return and(
      running,
      lte(runs.leaseExpiresAt, argument("now")),
      notInArray(runs.runId, listOf(argument("activeRunIds"))),
    );
  }

  /** The same for runs of any version. Expired leases are found among all that run. */
  function walksOfAny(argument: ArgumentReference<ClaimArgument>): readonly Walk[] {
    const isReady = and(eq(runs.status, "PENDING"), isNull(runs.wakeAt));
    // The unary plus keeps the status from choosing the index: runs that wait are fewer than all that are PENDING.
    const isDue = and(eq(sql`+${runs.status}`, "PENDING"), lte(runs.wakeAt, argument("now")));
    return [
      { each: false, where: isReady, order: [runs.createdAt, runs.runId] },
      { each: false, where: isDue, order: [runs.wakeAt, runs.createdAt, runs.runId] },
      { each: false, where: isExpired(argument), order: unindexedOrder },
    ];
  }
}

/** A way through the runs, in the order of an index, to those that are claimed first. */
interface Walk {
  /** Whether it is repeated for each version of the list. */
  readonly each: boolean;
  readonly where: SQL | undefined;
  readonly order: readonly SQLWrapper[];
}
