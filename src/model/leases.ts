import * as z from "zod/mini";
import { compiledObject } from "../schema/compiled-object.ts";
import { LeaseLostError } from "../errors.ts";
import type { EncodedRow } from "../schema/row-codec.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { comparePositions } from "./cursors.ts";
import { limitSchema, operationShape } from "./arguments.ts";
import { checkFence, type Fence, type FencedRun } from "./transitions.ts";

const yearMs = 365 * 24 * 3600 * 1000;

/** A longer lease is a mistake, and one beyond the range of `Date` would never expire. */
const leaseMsSchema = z.int().check(z.minimum(1), z.maximum(yearMs));

/** A claim of a worker. */
export interface RunClaim {
  readonly workerId: string;
  /** The duration of the lease in milliseconds, at most a year. */
  readonly leaseMs: number;
  /** 1 to 1000. */
  readonly limit: number;
  /** Claims only runs of these versions, at most 1000. Defaults to all runs. An empty list claims nothing. */
  readonly workflows?: readonly WorkflowVersion[] | undefined;
  /** Runs that the worker still executes, at most 1000: they are not claimed after their leases have expired. */
  readonly activeRunIds?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WorkflowVersion {
  readonly workflowId: string;
  readonly workflowVersion: string;
}

export interface LeaseHolder {
  readonly runId: string;
  readonly workerId: string;
  /** The `attempt` of the claim, which distinguishes claims of the same worker. */
  readonly attempt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseExtension extends LeaseHolder {
  /** The new duration from now in milliseconds, at most a year. */
  readonly leaseMs: number;
}

const versionSchema = compiledObject({ workflowId: idSchema, workflowVersion: idSchema });
const claimSchema = compiledObject({
  workerId: idSchema,
  leaseMs: leaseMsSchema,
  limit: limitSchema,
  workflows: z.optional(
    z.pipe(
      z.array(versionSchema).check(z.maxLength(1000)),
      z.transform((versions) => distinctVersions(versions)),
    ),
  ),
  activeRunIds: z._default(z.array(idSchema).check(z.maxLength(1000)), []),
  ...operationShape,
});
const holderShape = {
  runId: idSchema,
  workerId: idSchema,
  attempt: z.optional(z.int().check(z.minimum(0))),
  ...operationShape,
};
const holderSchema = compiledObject(holderShape);
const extensionSchema = compiledObject({ ...holderShape, leaseMs: leaseMsSchema });

export type ParsedClaim = z.output<typeof claimSchema>;

/** @throws {InvalidArgumentError} if a field is invalid. */
export function parseClaim(claim: unknown): ParsedClaim {
  return parseArgument(claimSchema, claim, "claim");
}

/** @throws {InvalidArgumentError} if a field is invalid. */
export function parseLeaseHolder(holder: unknown): LeaseHolder {
  return parseArgument(holderSchema, holder, "lease");
}

/** @throws {InvalidArgumentError} if a field is invalid. */
export function parseLeaseExtension(extension: unknown): LeaseExtension {
  return parseArgument(extensionSchema, extension, "lease");
}

export function leaseExpiry(now: Date, leaseMs: number): Date {
  return new Date(now.getTime() + leaseMs);
}

/** The end of an extended lease. It is never earlier than before, even if the clock was set back. */
export function extendedExpiry(before: Date, now: Date, leaseMs: number): Date {
  return new Date(Math.max(before.getTime(), leaseExpiry(now, leaseMs).getTime()));
}

/** A key for sets of versions. */
export function versionKey({ workflowId, workflowVersion }: WorkflowVersion): string {
  // Ids do not contain NUL.
  return `${workflowId}\0${workflowVersion}`;
}

function distinctVersions(versions: readonly WorkflowVersion[]): readonly WorkflowVersion[] {
  return [...new Map(versions.map((version) => [versionKey(version), version])).values()];
}

/**
 * True if the run is PENDING and its `wakeAt` has passed, or RUNNING with an expired lease. A RUNNING run without a lease
 * cannot be claimed. `now` is in milliseconds.
 */
export function isClaimable(
  run: Pick<EncodedRow<WorkflowRun>, "status" | "leaseExpiresAt" | "wakeAt">,
  now: number,
): boolean {
  if (run.status === "PENDING") return run.wakeAt === null || run.wakeAt <= now;
  return run.status === "RUNNING" && run.leaseExpiresAt !== null && run.leaseExpiresAt <= now;
}

/**
 * Negative if `a` is claimed before `b`. Runs are ordered by `wakeAt`, or `createdAt` if they have none; ties by
 * `createdAt`, then by the UTF-8 bytes of `runId`.
 */
export function compareClaims<Time extends Date | number>(
  a: ClaimPosition<Time>,
  b: ClaimPosition<Time>,
): number {
  return Number(claimableSince(a)) - Number(claimableSince(b)) || comparePositions(a, b);
}

interface ClaimPosition<Time> {
  readonly runId: string;
  readonly createdAt: Time;
  readonly wakeAt: Time | null;
}

/** The time since which the run can be claimed. */
export function claimableSince<Time>(run: Omit<ClaimPosition<Time>, "runId">): Time {
  return run.wakeAt ?? run.createdAt;
}

/**
 * Passes while the run is RUNNING under a lease of that claim, expired or not.
 *
 * @throws {LeaseLostError} otherwise.
 */
export function checkLease(
  run: FencedRun & { readonly leaseExpiresAt: unknown },
  fence: Fence,
): void {
  checkFence(run, fence);
  const { runId, status } = run;
  if (run.leaseExpiresAt === null) {
    throw new LeaseLostError({ runId, workerId: fence.workerId, status });
  }
}

/**
 * The columns that a claim sets. In addition, the first claim sets `startedAt`, every claim increments `attempt` and
 * `revision`, and a claim after an expired lease increments `lostLeases`.
 */
export function planClaim(workerId: string, leaseMs: number, now: Date): Partial<WorkflowRun> {
  return {
    status: "RUNNING",
    workerId,
    claimedAt: now,
    leaseExpiresAt: leaseExpiry(now, leaseMs),
    updatedAt: now,
  };
}
