import type * as z from "zod";
import type { Stopper, StopSignal } from "../../async/abort.ts";
import { InvalidArgumentError } from "../../errors.ts";
import type { Fence } from "../../model/transitions.ts";
import type { WorkflowRunSummary } from "../../schema/rows.ts";
import type { Clock } from "../../store/clock.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { parseStepValue } from "../definition/define-step.ts";
import type { StepDefinition } from "../definition/step-definition.ts";
import type { Workflow } from "../definition/workflow-builder.ts";
import type { ConditionContext } from "../definition/workflow-plan.ts";
import type { BoundLogger } from "../observe/logger.ts";
import type { RunObserver } from "../observe/run-observer.ts";
import type { KnownInput } from "../started-runs.ts";

/** What the runs of one worker share. */
export interface WorkerScope {
  readonly store: WorkflowStore;
  readonly workerId: string;
  /** The duration of a lease, and of retries while the store is busy or unreachable. */
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly logger: BoundLogger;
}

/** A run that a worker has claimed. */
export interface ClaimedRun extends WorkerScope {
  readonly workflow: Workflow;
  /** The run at the time of the claim. */
  readonly run: WorkflowRunSummary;
  /** Identifies the claim. Writes with this fence take effect only while the worker holds the run. */
  readonly fence: Fence;
  /** The input of the run if this process knows it, otherwise null. */
  readonly knownInput: KnownInput | null;
  readonly observer: RunObserver;
}

/** What the parts of one execution share. */
export interface RunScope extends ClaimedRun {
  /** Aborts with the reason when this execution stops. A failed write aborts it with its error. */
  readonly signal: Stopper;
  /** Aborts when no further step should begin here. */
  readonly drainSignal: StopSignal;
  /** Stops the run in this process after the store refused a write. */
  readonly lose: (error: Error) => void;
}

/** The context of a condition, and the reading part of a step's context. `open` returns the store for each read. */
export function createReadContext(
  { workflow, run }: Pick<RunScope, "workflow" | "run">,
  stepId: string,
  open: () => WorkflowStore,
): ConditionContext {
  const { runId } = run;
  return {
    runId,
    state: {
      async get(key: string, schema?: z.ZodType): Promise<unknown> {
        const entry = await open().findState(runId, key);
        if (entry === null) return undefined;
        if (schema === undefined) return entry.value;
        return parseStepValue(schema, entry.value, { stepId, root: `state.${key}` });
      },
      all: async () => open().getAllState(runId),
    },
    async output<Output>(step: StepDefinition<string, never, Output>): Promise<Output> {
      if (!workflow.plan.stepIds.has(step.id)) {
        throw new InvalidArgumentError({
          argument: "step",
          reason: `${step.id} is not a step of workflow ${workflow.id}`,
        });
      }
      // The output comes from the step's output schema.
      return (await open().loadStepOutput(runId, step.id)) as Output;
    },
  };
}
