import * as z from "zod";
import { LeaseLostError } from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { comparePositions } from "./cursors.ts";
import { limitSchema, operationShape } from "./arguments.ts";
import { checkFence, type Fence, type FencedRun } from "./transitions.ts";

const yearMs = 365 * 24 * 3600 * 1000;

/** A lease that is longer than a year is a mistake, and one beyond the times of a `Date` could never expire. */
const leaseMsSchema = z.int().min(1).max(yearMs);

/** What a worker asks for. */
export interface RunClaim {
  readonly workerId: string;
  /** How long the lease lasts unless it is extended, in milliseconds. At most a year. */
  readonly leaseMs: number;
  /** 1 to 1000. */
  readonly limit: number;
  /** Only runs of these versions of workflows, at most 1000; any run if absent. An empty list claims nothing. */
  readonly workflows?: readonly WorkflowVersion[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WorkflowVersion {
  readonly workflowId: string;
  readonly workflowVersion: string;
}

export interface LeaseHolder {
  readonly runId: string;
  readonly workerId: string;
  /** The `attempt` of the claim: tells it from others of the same worker id. */
  readonly attempt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseExtension extends LeaseHolder {
  /** From now, in milliseconds. At most a year. */
  readonly leaseMs: number;
}

const claimSchema = z.strictObject({
  workerId: idSchema,
  leaseMs: leaseMsSchema,
  limit: limitSchema,
  workflows: z
    .array(z.strictObject({ workflowId: idSchema, workflowVersion: idSchema }))
    .max(1000)
    .optional(),
  ...operationShape,
});
const holderShape = {
  runId: idSchema,
  workerId: idSchema,
  attempt: z.int().min(0).optional(),
  ...operationShape,
};
const holderSchema = z.strictObject(holderShape);
const extensionSchema = z.strictObject({ ...holderShape, leaseMs: leaseMsSchema });

/** @throws {InvalidArgumentError} that names the field. */
export function parseClaim(claim: unknown): z.output<typeof claimSchema> {
  return parseArgument(claimSchema, claim, "claim");
}

/** @throws {InvalidArgumentError} that names the field. */
export function parseLeaseHolder(holder: unknown): z.output<typeof holderSchema> {
  return parseArgument(holderSchema, holder, "lease");
}

/** @throws {InvalidArgumentError} that names the field. */
export function parseLeaseExtension(extension: unknown): z.output<typeof extensionSchema> {
  return parseArgument(extensionSchema, extension, "lease");
}

export function leaseExpiry(now: Date, leaseMs: number): Date {
  return new Date(now.getTime() + leaseMs);
}

/** The expiry after an extension: never earlier than before, even if the clock was set back. */
export function extendedExpiry(before: Date | null, now: Date, leaseMs: number): Date {
  return new Date(Math.max(before?.getTime() ?? 0, leaseExpiry(now, leaseMs).getTime()));
}

/** What tells the versions of workflows apart, for sets of them. */
export function versionKey({ workflowId, workflowVersion }: WorkflowVersion): string {
  // No id has a NUL.
  return `${workflowId}\0${workflowVersion}`;
}

/** Each of the versions once. */
export function distinctVersions(versions: readonly WorkflowVersion[]): readonly WorkflowVersion[] {
  if (versions.length < 2) return versions;
  return [...new Map(versions.map((version) => [versionKey(version), version])).values()];
}

/**
 * True for PENDING, unless it is to wait for a later time, and for RUNNING whose lease ran out. RUNNING without a
 * lease is somebody's own affair.
 */
export function isClaimable(
  run: Pick<WorkflowRun, "status" | "leaseExpiresAt" | "wakeAt">,
  now: Date,
): boolean {
  if (run.status === "PENDING") return run.wakeAt === null || run.wakeAt <= now;
  return run.status === "RUNNING" && run.leaseExpiresAt !== null && run.leaseExpiresAt <= now;
}

/**
 * Negative when `a` is claimed before `b`: by the time since when they could be, which is `createdAt`, or `wakeAt` of
 * a run that was to wait; ties by `createdAt`, then the UTF-8 bytes of `runId`.
 */
export function compareClaims(a: ClaimPosition, b: ClaimPosition): number {
  return claimableSince(a).getTime() - claimableSince(b).getTime() || comparePositions(a, b);
}

type ClaimPosition = Pick<WorkflowRun, "runId" | "createdAt" | "wakeAt">;

/** Since when a claim could have taken the run. */
export function claimableSince({
  createdAt,
  wakeAt,
}: Pick<WorkflowRun, "createdAt" | "wakeAt">): Date {
  return wakeAt ?? createdAt;
}

/**
 * Passes while the run is RUNNING under a lease of that claim, expired or not.
 *
 * @throws {LeaseLostError}
 */
export function checkLease(
  run: FencedRun & Pick<WorkflowRun, "leaseExpiresAt">,
  fence: Fence,
): void {
  checkFence(run, fence);
  const { runId, status } = run;
  if (run.leaseExpiresAt === null) {
    throw new LeaseLostError({ runId, workerId: fence.workerId, status });
  }
}

/**
 * What a claim sets, besides `startedAt` on the first one; `attempt` and `revision`, both plus one; and `lostLeases`, plus
 * one for a run whose lease has expired.
 */
export function planClaim(workerId: string, leaseMs: number, now: Date): Partial<WorkflowRun> {
  return {
    status: "RUNNING",
    workerId,
    leaseExpiresAt: leaseExpiry(now, leaseMs),
    updatedAt: now,
  };
}
