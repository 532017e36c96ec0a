import { v7 as uuidv7 } from "uuid";
import { InvalidArgumentError } from "../errors.ts";
import { completeNewRun } from "../model/new-rows.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { isOutage } from "./refusals.ts";

/**
 * Passes when two stores are not the same database: a run that is written to `target` for a moment must not appear
 * in `source`. A stored identity would not do: a restored backup has the same one.
 *
 * The run is finished and from 1970, so that no worker claims it and retention removes it if this process dies. A
 * target that refuses it is not examined.
 */
export class DatabaseCheck {
  readonly #source: WorkflowStore;
  readonly #target: WorkflowStore;
  readonly #argument: string;
  readonly #runId = uuidv7();
  #isSame: boolean | null = null;

  constructor(source: WorkflowStore, target: WorkflowStore, argument: string) {
    this.#source = source;
    this.#target = target;
    this.#argument = argument;
    if (source === target) throw this.#refusal();
  }

  /** @throws {InvalidArgumentError} when both are the same database. */
  async pass(signal?: AbortSignal): Promise<void> {
    this.#isSame ??= await this.#probe(signal);
    if (this.#isSame) throw this.#refusal();
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
    try {
      await this.#target.writeBundles([marker], { onConflict: "replace", signal });
    } catch (error) {
      if (isOutage(error) || signal?.aborted === true) throw error;
      return false;
    }
    try {
      const { bundles } = await this.#source.readBundles({ runIds: [this.#runId], signal });
      return bundles.length > 0;
    } finally {
      await this.#target.deleteRun(this.#runId);
    }
  }

  #refusal(): InvalidArgumentError {
    return new InvalidArgumentError({
      argument: this.#argument,
      reason: "is the same database as the other store",
    });
  }
}
