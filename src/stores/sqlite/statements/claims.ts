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
import { runSummaryProperties } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import { inlineDetails, listOf } from "./fragments.ts";
import { limitTo, opaque, pick } from "./pages.ts";
import {
  defineStatement,
  statementFamily,
  type ArgumentReference,
  type Database,
} from "./statement.ts";

/**
 * Up to this number, versions have their own arguments. More are passed as a JSON list, which costs 5 µs per version at any
 * number, but 20 µs more for a single one.
 */
const maxSpelledOut = 10;

/** The runs of a claim: any, those of a number of versions with arguments, or those of a list of versions. */
type ClaimShape = number | "any" | "list";

type ClaimArgument =
  | "workerId"
  | "leaseExpiresAt"
  | "now"
  | "limit"
  | "runId"
  | "versions"
  | "activeRunIds"
  | `workflow${number}`
  | `version${number}`;

export function claimShape(
  versions: readonly WorkflowVersion[] | undefined,
  maxUnionTerms = Infinity,
): ClaimShape {
  if (versions === undefined) return "any";
  const isShort = versions.length <= maxSpelledOut && versions.length * 3 <= maxUnionTerms;
  return isShort ? versions.length : "list";
}

/** The arguments for the versions. */
export function claimArguments(
  shape: ClaimShape,
  versions: readonly WorkflowVersion[] = [],
): Partial<Record<ClaimArgument, string>> {
  if (shape === "list") {
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

export function createClaimStatements(db: Database, tables: WorkflowTables) {
  const { workflowRuns: runs, workflowPauses: pauses } = tables;
  /** The rule of `claimableSince`. */
  const since = sql<number>`coalesce(${runs.wakeAt}, ${runs.createdAt})`;
  /** The order of `compareClaims`, for a walk whose index has another order. */
  const unindexedOrder = [since, sql`+${runs.createdAt}`, sql`+${runs.runId}`];
  const running = eq(sql`+${runs.status}`, "RUNNING");

  return {
    /**
     * Claims the eligible runs that have waited longest. Returns rows of `runSummaryProperties`, and the bytes of `error`
     * and `tags`, which are returned if they are small.
     *
     * RETURNING has no payloads and no large details. If a server rejected the response because of its size, the runs
     * would stay claimed.
     */
    claim: statementFamily(String, (shape: ClaimShape) =>
      defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) =>
        claimOf(target, inArray(runs.runId, firstOfAll(target, shape, argument)), argument),
      ),
    ),

    /** The ids of the runs that `claim` would claim, in order. */
    eligible: statementFamily(String, (shape: ClaimShape) =>
      defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) =>
        target.select({ runId: sql`run_id` }).from(firstOfAll(target, shape, argument)),
      ),
    ),

    /** Claims one run if it is eligible, apart from its version. Returns what `claim` returns. */
    claimOne: defineStatement(db, (target, argument: ArgumentReference<ClaimArgument>) => {
      const isDue = or(isNull(runs.wakeAt), lte(runs.wakeAt, argument("now")));
      const isEligible = or(and(eq(runs.status, "PENDING"), isDue), isExpired(argument));
      const isOpen = notInArray(runs.workflowId, pausedIds(target));
      return claimOf(target, and(eq(runs.runId, argument("runId")), isEligible, isOpen), argument);
    }),
  };

  function pausedIds(target: Database) {
    return target.select({ workflowId: pauses.workflowId }).from(pauses);
  }

  function claimOf(
    target: Database,
    where: SQL | undefined,
    argument: ArgumentReference<ClaimArgument>,
  ) {
    return target
      .update(runs)
      .set({
        status: sql`'RUNNING'`,
        workerId: argument("workerId"),
        claimedAt: argument("now"),
        leaseExpiresAt: argument("leaseExpiresAt"),
        attempt: sql`${runs.attempt} + 1`,
        revision: sql`${runs.revision} + 1`,
        lostLeases: sql`${runs.lostLeases} + (${runs.status} = 'RUNNING')`,
        startedAt: sql`coalesce(${runs.startedAt}, ${argument("now")})`,
        updatedAt: argument("now"),
      })
      .where(where)
      .returning({ ...pick(runs, runSummaryProperties), ...inlineDetails(tables) });
  }

  /** The ids of the runs that come first in all walks. */
  function firstOfAll(
    target: Database,
    shape: ClaimShape,
    argument: ArgumentReference<ClaimArgument>,
  ): SQL {
    const walks = claimedWalks(target, shape, argument).map((walk) =>
      firstOf(target, walk, argument),
    );
    const found = sql.join(walks, sql` union all `);
    return sql`(select run_id from (${found} order by 1, 2, 3 limit ${limitTo(argument("limit"))}))`;
  }

  /** The first runs of a walk, with the columns that order the runs of all walks. */
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
    // SQLite has no lateral join, so the walk of each version is a list of ids.
    return sql`select ${since}, ${runs.createdAt}, ${runs.runId}
      from json_each(${argument("versions")}) as named cross join ${runs}
      where named.value ->> 0 not in ${pausedIds(target)} and ${runs.runId} in ${first}`;
  }

  /** False for a run whose details are not JSON. It cannot be returned, and must not block other runs. */
  function isReadable(): SQL | undefined {
    return and(
      or(isNull(runs.error), sql`json_valid(${runs.error})`),
      or(isNull(runs.tags), sql`json_valid(${runs.tags})`),
    );
  }

  function claimedWalks(
    target: Database,
    shape: ClaimShape,
    argument: ArgumentReference<ClaimArgument>,
  ): readonly Walk[] {
    if (shape === "any") return walksOfAny(target, argument);
    if (shape === "list") {
      const [workflowId, version] = [sql`named.value ->> 0`, sql`named.value ->> 1`];
      return walksOf({ workflowId, version, each: true }, argument);
    }
    return Array.from({ length: shape }, (_, index) =>
      walksOf(
        {
          workflowId: ifOpen(target, argument(`workflow${index}`)),
          version: opaque(argument(`version${index}`)),
          each: false,
        },
        argument,
      ),
    ).flat();
  }

  /** The id of the workflow, or NULL if it is paused. A walk for NULL reads no run, however many wait. */
  function ifOpen(target: Database, workflowId: SQL): SQL {
    return sql`(select ${workflowId} where ${workflowId} not in ${pausedIds(target)})`;
  }

  /**
   * The walks of one version: PENDING runs without `wakeAt`, by creation; PENDING runs whose `wakeAt` has passed, by
   * `wakeAt`; and RUNNING runs with an expired lease. The first two stop at the limit. They read no run of another version.
   */
  function walksOf(
    { workflowId, version, each }: { workflowId: SQL; version: SQL; each: boolean },
    argument: ArgumentReference<ClaimArgument>,
  ): readonly Walk[] {
    const own = and(eq(runs.workflowId, workflowId), eq(runs.workflowVersion, version));
    // A literal, because SQLite does not use the partial index for a bound value.
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

  /** The same walks for runs of any version. */
  function walksOfAny(
    target: Database,
    argument: ArgumentReference<ClaimArgument>,
  ): readonly Walk[] {
    const isOpen = notInArray(runs.workflowId, pausedIds(target));
    const isReady = and(eq(runs.status, "PENDING"), isNull(runs.wakeAt), isOpen);
    // The unary plus keeps the status from choosing the index, because fewer runs have a `wakeAt` than are PENDING.
    const isDue = and(
      eq(sql`+${runs.status}`, "PENDING"),
      lte(runs.wakeAt, argument("now")),
      isOpen,
    );
    return [
      { each: false, where: isReady, order: [runs.createdAt, runs.runId] },
      { each: false, where: isDue, order: [runs.wakeAt, runs.createdAt, runs.runId] },
      { each: false, where: and(isExpired(argument), isOpen), order: unindexedOrder },
    ];
  }
}

/** A query for the runs that are claimed first, in the order of an index. */
interface Walk {
  /** True if it is repeated for each version of the list. */
  readonly each: boolean;
  readonly where: SQL | undefined;
  readonly order: readonly SQLWrapper[];
}
