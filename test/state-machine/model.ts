import type { RunStatus, StepStatus } from "../../src/statuses.ts";
import type { TestClock } from "../../src/testing/test-clock.ts";

interface ModelStep {
  status: StepStatus;
  hasCompletedAt: boolean;
}

export interface ModelRun {
  readonly runId: string;
  readonly createdAt: number;
  status: RunStatus;
  workerId: string | null;
  leaseExpiresAt: number | null;
  wakeAt: number | null;
  attempt: number;
  revision: number;
  hasStartedAt: boolean;
  hasCompletedAt: boolean;
  readonly steps: Map<string, ModelStep>;
}

/** Every rule that an operation can meet: the codes of the errors, and what has to happen otherwise. */
export const modelRules = [
  "LEASE_LOST",
  "REVISION_CONFLICT",
  "RUN_ALREADY_EXISTS",
  "RUN_NOT_FOUND",
  "RUN_TRANSITION",
  "STEP_ALREADY_EXISTS",
  "STEP_NOT_FOUND",
  "STEP_TRANSITION",
  "cancelled",
  "claimed",
  "deleted",
  "extended",
  "nothing to claim",
  "paused",
  "released",
  "reopened",
  "resumed",
  "settled",
  "taken from a silent worker",
] as const;

type ModelRule = (typeof modelRules)[number];

/** What a rule of the contract forbids: the code of the error that has to come. */
export class Refusal extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/**
 * Runs and steps as the contract describes them, written down a second time and as plainly as possible: it knows
 * nothing of stores, rows or the rules in `src/model`.
 */
export class Model {
  readonly runs = new Map<string, ModelRun>();
  isPaused = false;
  readonly #clock: TestClock;
  readonly #rulesMet: Set<string>;

  constructor(clock: TestClock, rulesMet: Set<string>) {
    this.#clock = clock;
    this.#rulesMet = rulesMet;
  }

  get now(): number {
    return this.#clock.now().getTime();
  }

  met(rule: ModelRule): void {
    this.#rulesMet.add(rule);
  }

  refuse(code: ModelRule, publicCode: string = code): never {
    this.met(code);
    throw new Refusal(publicCode);
  }

  find(runId: string): ModelRun {
    return this.runs.get(runId) ?? this.refuse("RUN_NOT_FOUND");
  }

  checkFence(run: ModelRun, workerId: string | undefined): void {
    if (workerId === undefined) return;
    if (run.status !== "RUNNING" || run.workerId !== workerId) this.refuse("LEASE_LOST");
  }

  checkLease(run: ModelRun, workerId: string): void {
    const isHeld = run.status === "RUNNING" && run.leaseExpiresAt !== null;
    if (!isHeld || run.workerId !== workerId) this.refuse("LEASE_LOST");
  }

  create(runId: string, wakeAt: number | null): void {
    if (this.runs.has(runId)) this.refuse("RUN_ALREADY_EXISTS");
    this.runs.set(runId, {
      runId,
      createdAt: this.now,
      status: "PENDING",
      workerId: null,
      leaseExpiresAt: null,
      wakeAt,
      attempt: 0,
      revision: 1,
      hasStartedAt: false,
      hasCompletedAt: false,
      steps: new Map(),
    });
  }

  pause(): boolean {
    const changes = !this.isPaused;
    this.isPaused = true;
    this.met("paused");
    return changes;
  }

  resume(): boolean {
    const changes = this.isPaused;
    this.isPaused = false;
    if (changes) this.met("resumed");
    return changes;
  }

  /** The ids of the claimed runs, in order. */
  claim(workerId: string, leaseMs: number, limit: number): string[] {
    const now = this.now;
    const since = ({ wakeAt, createdAt }: ModelRun): number => wakeAt ?? createdAt;
    const open = this.isPaused ? [] : [...this.runs.values()];
    const eligible = open.filter(({ status, wakeAt, leaseExpiresAt }) =>
      status === "PENDING"
        ? wakeAt === null || wakeAt <= now
        : status === "RUNNING" && leaseExpiresAt !== null && leaseExpiresAt <= now,
    );
    eligible.sort(
      (a, b) => since(a) - since(b) || a.createdAt - b.createdAt || (a.runId < b.runId ? -1 : 1),
    );
    const claimed = eligible.slice(0, limit);
    this.met(claimed.length === 0 ? "nothing to claim" : "claimed");
    for (const run of claimed) {
      if (run.workerId !== null && run.workerId !== workerId) {
        this.met("taken from a silent worker");
      }
      run.status = "RUNNING";
      run.workerId = workerId;
      run.leaseExpiresAt = now + leaseMs;
      run.attempt += 1;
      run.revision += 1;
      run.hasStartedAt = true;
    }
    return claimed.map(({ runId }) => runId);
  }

  extend(runId: string, workerId: string, leaseMs: number): void {
    const run = this.find(runId);
    this.checkLease(run, workerId);
    run.leaseExpiresAt = Math.max(run.leaseExpiresAt ?? 0, this.now + leaseMs);
    this.met("extended");
  }

  release(runId: string, workerId: string): void {
    const run = this.find(runId);
    this.checkLease(run, workerId);
    this.#becomePending(run);
    this.met("released");
  }

  update(
    runId: string,
    status: RunStatus | undefined,
    { workerId, expectedRevision }: { workerId?: string; expectedRevision?: number },
  ): void {
    const run = this.find(runId);
    this.checkFence(run, workerId);
    if (expectedRevision !== undefined && expectedRevision !== run.revision) {
      this.refuse("REVISION_CONFLICT");
    }
    this.#checkUnfinished(run);
    if (status === "PENDING") {
      this.#becomePending(run);
      return;
    }
    run.revision += 1;
    run.status = status ?? run.status;
    if (status === "RUNNING") run.hasStartedAt = true;
    if (status === "COMPLETED" || status === "FAILED" || status === "CANCELLED") {
      // Whose it was stays known.
      run.leaseExpiresAt = null;
      run.wakeAt = null;
      run.hasCompletedAt = true;
    }
    if (status === "CANCELLED") this.met("cancelled");
  }

  reopen(runId: string): void {
    const run = this.find(runId);
    if (run.status !== "FAILED" && run.status !== "CANCELLED") this.refuse("RUN_TRANSITION");
    this.#becomePending(run);
    run.wakeAt = null;
    run.hasCompletedAt = false;
    for (const [stepId, { status }] of run.steps) {
      if (status !== "PENDING" && status !== "RUNNING" && status !== "RETRYING") continue;
      run.steps.set(stepId, { status: "CANCELLED", hasCompletedAt: true });
    }
    this.met("reopened");
  }

  remove(runId: string): boolean {
    const existed = this.runs.delete(runId);
    if (existed) this.met("deleted");
    return existed;
  }

  createStep(runId: string, stepId: string): void {
    const { steps } = this.find(runId);
    if (steps.has(stepId)) this.refuse("STEP_ALREADY_EXISTS", "STEP_EXECUTION_ALREADY_EXISTS");
    steps.set(stepId, { status: "PENDING", hasCompletedAt: false });
  }

  updateStep(
    runId: string,
    stepId: string,
    status: StepStatus,
    workerId: string | undefined,
  ): void {
    const run = this.runs.get(runId);
    const step = run?.steps.get(stepId);
    if (run === undefined || step === undefined) {
      this.refuse("STEP_NOT_FOUND", "STEP_EXECUTION_NOT_FOUND");
    }
    this.checkFence(run, workerId);
    if (step.status === "COMPLETED" || step.status === "SKIPPED") this.refuse("STEP_TRANSITION");
    step.status = status;
    if (["COMPLETED", "FAILED", "CANCELLED", "SKIPPED"].includes(status)) {
      step.hasCompletedAt = true;
    }
  }

  /** All or nothing: a step ends, the next one is there, and the run moves. */
  settle(runId: string, stepId: string, nextId: string, workerId: string): void {
    const run = this.runs.get(runId);
    const before = run === undefined ? null : structuredClone(run);
    try {
      this.checkFence(this.find(runId), workerId);
      this.updateStep(runId, stepId, "COMPLETED", undefined);
      this.createStep(runId, nextId);
      this.update(runId, undefined, {});
      this.met("settled");
    } catch (error) {
      if (before !== null) this.runs.set(runId, before);
      throw error;
    }
  }

  #checkUnfinished({ status }: ModelRun): void {
    if (status !== "PENDING" && status !== "RUNNING") this.refuse("RUN_TRANSITION");
  }

  #becomePending(run: ModelRun): void {
    run.status = "PENDING";
    run.workerId = null;
    run.leaseExpiresAt = null;
    run.revision += 1;
  }
}
