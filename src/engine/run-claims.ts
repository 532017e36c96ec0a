import { StoreClosedError } from "../errors.ts";
import type { WorkflowVersion } from "../model/leases.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { BoundLogger } from "./logger.ts";
import type { Workflow } from "./workflow-builder.ts";
import type { WorkflowRegistry } from "./workflow-registry.ts";

/** The most that one claim may except. */
const maxUnknown = 1000;

export interface RunClaimsOptions {
  readonly store: WorkflowStore;
  readonly registry: WorkflowRegistry;
  readonly workerId: string;
  readonly leaseMs: number;
  readonly logger: BoundLogger;
}

export interface ClaimedRun {
  readonly run: WorkflowRunSummary;
  readonly workflow: Workflow;
}

/**
 * Claims runs of the workflows that are registered, and gives back what turns out to be of a version that is not:
 * as if it had never been claimed. Once met, runs of that version are left alone until it is registered.
 */
export class RunClaims {
  readonly #options: RunClaimsOptions;
  /** Versions that were met and are not registered here. */
  #unknown: readonly WorkflowVersion[] = [];
  #hasMore = false;

  constructor(options: RunClaimsOptions) {
    this.#options = options;
  }

  /** True when the last claim brought all that it asked for. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Claims up to `count` runs. Null when the store failed: nobody knows what there is. @throws {StoreClosedError} */
  async claim(count: number): Promise<ClaimedRun[] | null> {
    const { store, registry, workerId, leaseMs, logger } = this.#options;
    const { workflowIds } = registry;
    this.#unknown = this.#unknown.filter((each) => !registry.has(each));
    let runs: WorkflowRunSummary[];
    try {
      runs = await store.claimRuns({
        workerId,
        leaseMs,
        limit: count,
        workflowIds,
        except: this.#unknown,
      });
    } catch (error) {
      if (error instanceof StoreClosedError) throw error;
      logger.error({ err: error }, "runs could not be claimed");
      return null;
    }
    this.#hasMore = runs.length === count;
    const claimed: ClaimedRun[] = [];
    const unknown: WorkflowRunSummary[] = [];
    for (const run of runs) {
      const workflow = registry.find(run.workflowId, run.workflowVersion);
      if (workflow === null) unknown.push(run);
      else claimed.push({ run, workflow });
    }
    await this.#setAside(unknown);
    return claimed;
  }

  /** Gives runs back of which nothing was done, as if they had never been claimed. */
  async unclaim(runs: readonly WorkflowRunSummary[]): Promise<void> {
    const { store, workerId, logger } = this.#options;
    await Promise.all(
      runs.map(async ({ runId, attempt, startedAt }) => {
        const changes = {
          status: "PENDING",
          attempt: attempt - 1,
          startedAt: attempt > 1 ? startedAt : null,
        } as const;
        try {
          await store.updateRun(runId, changes, { workerId });
        } catch (error) {
          logger.warn(
            { runId, err: error },
            "a run could not be given back: its lease will run out",
          );
        }
      }),
    );
  }

  async #setAside(runs: readonly WorkflowRunSummary[]): Promise<void> {
    if (runs.length === 0) return;
    const met = new Map<string, WorkflowRunSummary>();
    for (const run of runs) met.set(JSON.stringify([run.workflowId, run.workflowVersion]), run);
    for (const { runId, workflowId, workflowVersion } of met.values()) {
      this.#options.logger.warn(
        { runId, workflowId, workflowVersion },
        "runs of a version that is not registered here are left to others",
      );
    }
    const versions = Array.from(met.values(), ({ workflowId, workflowVersion }) => ({
      workflowId,
      workflowVersion,
    }));
    // The oldest are forgotten, and met again.
    this.#unknown = [...this.#unknown, ...versions].slice(-maxUnknown);
    await this.unclaim(runs);
  }
}
