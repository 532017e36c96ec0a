import { v7 as uuidv7 } from "uuid";
import { InvalidArgumentError } from "../errors.ts";
import { completeNewRun } from "../model/new-rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { isOutage, isRefusal } from "./refusals.ts";

/**
 * Passes when two stores are not the same database: `target` lacks the newest run of `source`, or a run that is
 * written to `target` for a moment does not appear in `source`. A stored identity would not do: a restored backup has
 * the same one.
 *
 * The run is finished and from 1970, so that no worker claims it and retention removes it if this process dies, or if
 * a constraint of the app keeps it. A target that refuses it is not examined.
 */
export class DatabaseCheck {
  readonly #source: WorkflowStore;
  readonly #target: WorkflowStore;
  readonly #argument: string;
  readonly #runId = uuidv7();
  #isSame: boolean | null = null;
  /** An attempt that failed may have left its run in the target. */
  #isLeft = false;

  constructor(source: WorkflowStore, target: WorkflowStore, argument: string) {
    this.#source = source;
    this.#target = target;
    this.#argument = argument;
    if (source === target) throw this.#refusal();
  }

  /** @throws {InvalidArgumentError} when both are the same database. */
  async pass(signal?: AbortSignal): Promise<void> {
    if (this.#isLeft) await this.#remove();
    this.#isSame ??= !(await this.#lacksNewest(signal)) && (await this.#probe(signal));
    if (this.#isSame) throw this.#refusal();
  }

  /** True only for different databases: `source` has the run before and after `target` has not. */
  async #lacksNewest(signal: AbortSignal | undefined): Promise<boolean> {
    const [newest] = (await this.#source.listRuns({ limit: 1, signal })).runs;
    if (newest === undefined) return false;
    const { runId } = newest;
    return !(await has(this.#target, runId, signal)) && (await has(this.#source, runId, signal));
  }

  async #probe(signal: AbortSignal | undefined): Promise<boolean> {
    const beginning = new Date(0);
    const run = completeNewRun(
      {
        runId: this.#runId,
        workflowId: "gorkflow-probe",
        status: "CANCELLED",
        createdAt: beginning,
        completedAt: beginning,
      },
      beginning,
    );
    const marker = { run, steps: [], attempts: [], outputs: [], state: [] };
    this.#isLeft = true;
    try {
      await this.#target.writeBundles([marker], { onConflict: "replace", signal });
    } catch (error) {
      if (isOutage(error) || signal?.aborted === true) throw error;
      this.#isLeft = false;
      return false;
    }
    try {
      return await has(this.#source, this.#runId, signal);
    } finally {
      await this.#remove();
    }
  }

  async #remove(): Promise<void> {
    await this.#target.deleteRun(this.#runId).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    });
    this.#isLeft = false;
  }

  #refusal(): InvalidArgumentError {
    return new InvalidArgumentError({
      argument: this.#argument,
      reason: "is the same database as the other store",
    });
  }
}

async function has(
  store: WorkflowStore,
  runId: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { bundles, corrupt } = await store.readBundles({ runIds: [runId], signal });
  return bundles.length + corrupt.length > 0;
}
