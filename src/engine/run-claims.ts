import { StoreClosedError } from "../errors.ts";
import type { WorkflowRunSummary } from "../schema/rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import type { BoundLogger } from "./logger.ts";
import type { Workflow } from "./workflow-builder.ts";
import type { WorkflowRegistry } from "./workflow-registry.ts";

/** The most that one claim may ask for. */
const maxLimit = 1000;

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
 * as if it had never been claimed.
 *
 * A claim can be limited to workflows, not to their versions. So each asks for as many more as there were unknown
 * ones the last time: however old they are, they keep nothing else waiting.
 */
export class RunClaims {
  readonly #options: RunClaimsOptions;
  #unknown: ReadonlySet<string> = new Set();
  #hasMore = false;

  constructor(options: RunClaimsOptions) {
    this.#options = options;
  }

  /** True when the last claim brought all that it asked for. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Claims up to `count` runs. Nothing, when the store failed. @throws {StoreClosedError} */
  async claim(count: number): Promise<ClaimedRun[]> {
    const { store, registry, workerId, leaseMs, logger } = this.#options;
    const limit = Math.min(maxLimit, count + this.#unknown.size);
    let runs: WorkflowRunSummary[];
    try {
      runs = await store.claimRuns({ workerId, leaseMs, limit, workflowIds: registry.workflowIds });
    } catch (error) {
      if (error instanceof StoreClosedError) throw error;
      logger.error({ err: error }, "runs could not be claimed");
      return [];
    }
    this.#hasMore = runs.length === limit;
    const claimed: ClaimedRun[] = [];
    const unknown: WorkflowRunSummary[] = [];
    for (const run of runs) {
      const workflow = registry.find(run.workflowId, run.workflowVersion);
      if (workflow === null) unknown.push(run);
      else claimed.push({ run, workflow });
    }
    await this.#setAside(unknown);
    const taken = claimed.slice(0, count);
    await this.unclaim(claimed.slice(count).map(({ run }) => run));
    return taken;
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
    for (const { runId, workflowId, workflowVersion } of runs) {
      if (this.#unknown.has(runId)) continue;
      this.#options.logger.warn(
        { runId, workflowId, workflowVersion },
        "run is of a version that is not registered here, and is left to others",
      );
    }
    const seen = runs.map(({ runId }) => runId);
    this.#unknown = new Set(this.#hasMore ? [...this.#unknown, ...seen] : seen);
    await this.unclaim(runs);
  }
}
