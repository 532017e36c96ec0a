import { StoreClosedError } from "../../errors.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { WorkflowRegistry } from "../definition/workflow-registry.ts";

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

/** Claims runs of the versions that are registered. */
export class RunClaims {
  readonly #options: RunClaimsOptions;
  #hasMore = false;

  constructor(options: RunClaimsOptions) {
    this.#options = options;
  }

  /** True when the last claim brought all that it asked for. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** Claims up to `count` runs. Null if the store failed. @throws {StoreClosedError} */
  async claim(count: number): Promise<ClaimedRun[] | null> {
    const { store, registry, workerId, leaseMs, logger } = this.#options;
    try {
      const runs = await store.claimRuns({
        workerId,
        leaseMs,
        limit: count,
        workflows: registry.versions,
      });
      this.#hasMore = runs.length === count;
      return runs.flatMap((run) => {
        const workflow = registry.find(run);
        return workflow === null ? [] : [{ run, workflow }];
      });
    } catch (error) {
      if (error instanceof StoreClosedError) throw error;
      logger.error({ err: error }, "runs could not be claimed");
      return null;
    }
  }

  /** Gives back runs that nothing was done with. */
  async release(runs: readonly WorkflowRunSummary[]): Promise<void> {
    const { store, workerId, logger } = this.#options;
    await Promise.all(
      runs.map(async ({ runId, attempt }) => {
        try {
          await store.releaseLease({ runId, workerId, attempt });
        } catch (error) {
          logger.warn(
            { runId, err: error },
            "a run could not be given back: its lease will run out",
          );
        }
      }),
    );
  }
}
