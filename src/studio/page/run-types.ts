import type { Preview } from "./data.ts";

/** The names and messages of an error and its causes. */
interface ShownCauses {
  readonly causes: readonly string[];
}

export interface RunFacts {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowVersion: string;
  readonly status: string;
  readonly progress: number;
  readonly attempt: number;
  readonly lostLeases: number;
  readonly revision: number;
  readonly resourceId: string | null;
  readonly idempotencyKey: string | null;
  readonly workerId: string | null;
  readonly leaseExpiresAt: string | null;
  readonly wakeAt: string | null;
  readonly deadlineAt: string | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly updatedAt: string;
  readonly tags: unknown;
  readonly error: (Preview & ShownCauses) | null;
  readonly traceUrl?: string;
  /** Null if one of them cannot be read. */
  readonly payloads: {
    readonly input: Preview;
    readonly output: Preview;
    readonly context: Preview;
  } | null;
  readonly unreadable?: { readonly message: string };
}

export interface StepOfRun {
  readonly stepId: string;
  readonly status: string;
  readonly attempt: number;
  readonly wakeAt: string | null;
  readonly durationMs: number | null;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly error: (Preview & ShownCauses) | null;
}

export interface AttemptOfRun {
  readonly stepId: string;
  readonly attempt: number;
  readonly status: string;
  readonly workerId: string | null;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly error: ShownCauses | null;
}
