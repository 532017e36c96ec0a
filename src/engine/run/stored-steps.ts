import { StepExecutionNotFoundError } from "../../errors.ts";
import type { StepExecution } from "../../schema/rows.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { StepRows } from "./run-history.ts";
import type { PlannedStep } from "../definition/workflow-plan.ts";

/** The rows of a run's steps, as far as they have been asked for: a run may have very many. */
export class StoredSteps {
  readonly #store: WorkflowStore;
  readonly #runId: string;
  readonly #rows = new Map<string, StepExecution>();
  /** Asked for, by step id; those that are not there as well. */
  readonly #known = new Set<string>();
  #isWhole = false;

  constructor(store: WorkflowStore, runId: string) {
    this.#store = store;
    this.#runId = runId;
  }

  get rows(): StepRows {
    return this.#rows;
  }

  async read(steps: readonly PlannedStep[]): Promise<void> {
    if (this.#isWhole) return;
    const unknown = steps.filter(({ definition }) => !this.#known.has(definition.id));
    await Promise.all(unknown.map(({ definition }) => this.#readOne(definition.id)));
  }

  async readAll(): Promise<void> {
    for (const row of await this.#store.listStepExecutions(this.#runId)) {
      this.#rows.set(row.stepId, row);
    }
    this.#isWhole = true;
  }

  async #readOne(stepId: string): Promise<void> {
    try {
      this.#rows.set(stepId, await this.#store.getStepExecution(this.#runId, stepId));
    } catch (error) {
      if (!(error instanceof StepExecutionNotFoundError)) throw error;
    }
    this.#known.add(stepId);
  }
}
