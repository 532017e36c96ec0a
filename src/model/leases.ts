import * as z from "zod";
import { LeaseLostError } from "../errors.ts";
import type { WorkflowRun } from "../schema/rows.ts";
import { idSchema } from "../schema/zod.ts";
import { parseArgument } from "../arguments.ts";
import { comparePositions } from "./cursors.ts";
import { limitSchema, operationShape } from "./arguments.ts";

/** A worker's wish for runs to work on. */
export interface RunClaim {
  readonly workerId: string;
  /** How long the runs are the worker's, unless it extends the lease. Positive integer of milliseconds. */
  readonly leaseMs: number;
  /** 1 to 1000. */
  readonly limit: number;
  /** Only runs of these workflows; absent for any. An empty list claims nothing. */
  readonly workflowIds?: readonly string[] | undefined;
  /** Versions of workflows whose runs are left alone: at most 1000. */
  readonly except?: readonly WorkflowVersion[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WorkflowVersion {
  readonly workflowId: string;
  readonly workflowVersion: string;
}

export interface LeaseHolder {
  readonly runId: string;
  readonly workerId: string;
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseExtension extends LeaseHolder {
  /** From now, in milliseconds. */
  readonly leaseMs: number;
}

const duration = z.int().min(1);
const claimSchema = z.strictObject({
  workerId: idSchema,
  leaseMs: duration,
  limit: limitSchema,
  workflowIds: z.array(idSchema).max(1000).optional(),
  except: z
    .array(z.strictObject({ workflowId: idSchema, workflowVersion: idSchema }))
    .max(1000)
    .optional(),
  ...operationShape,
});
const holderShape = { runId: idSchema, workerId: idSchema, ...operationShape };
const holderSchema = z.strictObject(holderShape);
const extensionSchema = z.strictObject({ ...holderShape, leaseMs: duration });

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

type LeaseState = Pick<WorkflowRun, "runId" | "status" | "workerId" | "leaseExpiresAt">;

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
 * Passes when the worker has the run RUNNING under its lease, expired or not.
 *
 * @throws {LeaseLostError}
 */
export function checkLease(run: LeaseState, workerId: string): void {
  if (run.status !== "RUNNING" || run.workerId !== workerId || run.leaseExpiresAt === null) {
    throw new LeaseLostError({ runId: run.runId, workerId });
  }
}

/** What a claim sets, besides `startedAt` on the first one, and `attempt` and `revision`, both plus one. */
export function planClaim(workerId: string, leaseMs: number, now: Date): Partial<WorkflowRun> {
  return {
    status: "RUNNING",
    workerId,
    leaseExpiresAt: leaseExpiry(now, leaseMs),
    updatedAt: now,
  };
}
