import * as z from "zod";
import { InvalidArgumentError } from "../../errors.ts";
import { parseArgument } from "../../arguments.ts";
import { idSchema, isId, timeoutSchema } from "../../schema/zod.ts";
import type { StepDefinition, StepOutput } from "./step-definition.ts";
import { maxLostLeasesSchema } from "../engine-options.ts";
import type { Condition, Stage, WorkflowPlan } from "./workflow-plan.ts";

declare const workflowTypes: unique symbol;

/** A workflow that an engine can run. */
export interface Workflow<Input = never, Output = unknown> {
  readonly id: string;
  readonly version: string;
  /** The maximum duration of a run in milliseconds; null for no limit. */
  readonly timeoutMs: number | null;
  /** The number of lost leases in a row after which a run fails; null for the engine's number. */
  readonly maxLostLeases: number | null;
  readonly plan: WorkflowPlan;
  /** For the compiler only; it does not exist at run time. */
  readonly [workflowTypes]?:
    | { readonly accepts: (input: Input) => void; readonly output: Output }
    | undefined;
}

type AnyStep<Input> = StepDefinition<string, Input>;

/** The outputs of parallel steps, by step id. */
export type OutputsById<Steps extends readonly AnyStep<never>[]> = {
  [Step in Steps[number] as Step["id"]]: StepOutput<Step>;
};

/** The input type that all steps accept. */
type CommonInput<Steps extends readonly AnyStep<never>[]> = {
  [Index in keyof Steps]: Steps[Index] extends StepDefinition<string, infer Input>
    ? (input: Input) => void
    : never;
}[number] extends (input: infer Input) => void
  ? Input
  : never;

type Identity = Pick<Workflow, "id" | "version" | "timeoutMs" | "maxLostLeases">;

/** The stages so far, last first, so that adding one does not copy the others. */
interface StageList {
  readonly stage: Stage;
  readonly before: StageList | null;
}

const optionsSchema = z.strictObject({
  id: idSchema,
  version: idSchema.optional(),
  timeoutMs: timeoutSchema.optional(),
  maxLostLeases: maxLostLeasesSchema.optional(),
});

/**
 * Begins a workflow.
 *
 * An engine runs only the versions that are registered with it. Change the version if the steps, their order or their
 * meaning change.
 *
 * @throws {InvalidArgumentError} that names the option.
 */
export function defineWorkflow(options: {
  readonly id: string;
  /** Defaults to "1". */
  readonly version?: string | undefined;
  /** The maximum duration of a run in milliseconds. Then it fails with `RunTimeoutError`. Defaults to no limit. */
  readonly timeoutMs?: number | undefined;
  /**
   * After this number of lost leases in a row without progress, a run fails with `RunAbandonedError`. Defaults to the
   * engine's number.
   */
  readonly maxLostLeases?: number | undefined;
}): EmptyWorkflow {
  const parsed = parseArgument(optionsSchema, options, "workflow");
  const { id, version = "1", timeoutMs = null, maxLostLeases = null } = parsed;
  return new EmptyWorkflow({ id, version, timeoutMs, maxLostLeases });
}

/** A workflow without steps. The first step decides what the workflow accepts. */
export class EmptyWorkflow {
  readonly #identity: Identity;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  step<Input, Output>(step: StepDefinition<string, Input, Output>): WorkflowBuilder<Input, Output> {
    return new WorkflowBuilder(this.#identity, addStep(null, step));
  }

  parallel<const Steps extends readonly [AnyStep<never>, ...AnyStep<never>[]]>(
    ...steps: Steps
  ): WorkflowBuilder<CommonInput<Steps>, OutputsById<Steps>> {
    return new WorkflowBuilder(this.#identity, addParallel(null, steps));
  }

  stepIf<Input, Output>(
    condition: Condition<NoInfer<Input>>,
    step: StepDefinition<string, Input, Output>,
  ): WorkflowBuilder<Input, Input | Output> {
    return new WorkflowBuilder(this.#identity, addConditional(null, condition, step));
  }
}

/**
 * A workflow under construction. It accepts `Input`, and the next step gets `Current`. Each method returns a new builder
 * and leaves this one unchanged.
 */
export class WorkflowBuilder<Input, Current> {
  readonly #identity: Identity;
  readonly #stages: StageList;

  constructor(identity: Identity, stages: StageList) {
    this.#identity = identity;
    this.#stages = stages;
  }

  /** Adds a step. Its input is the output of the stage before it. */
  step<Output>(step: StepDefinition<string, Current, Output>): WorkflowBuilder<Input, Output> {
    return new WorkflowBuilder(this.#identity, addStep(this.#stages, step));
  }

  /**
   * Adds steps that run in parallel on the same input. The next step gets `{ [stepId]: output }`. If the last attempt of
   * one fails, the run fails after the others have ended.
   */
  parallel<const Steps extends readonly [AnyStep<Current>, ...AnyStep<Current>[]]>(
    ...steps: Steps
  ): WorkflowBuilder<Input, OutputsById<Steps>> {
    return new WorkflowBuilder(this.#identity, addParallel(this.#stages, steps));
  }

  /** Adds a step that runs if the condition is true. Otherwise it is SKIPPED, and the next step gets its input. */
  stepIf<Output>(
    condition: Condition<Current>,
    step: StepDefinition<string, Current, Output>,
  ): WorkflowBuilder<Input, Current | Output> {
    return new WorkflowBuilder(this.#identity, addConditional(this.#stages, condition, step));
  }

  /** @throws {InvalidArgumentError} if two steps have the same id. */
  build(): Workflow<Input, Current> {
    return Object.freeze({ ...this.#identity, plan: planStages(this.#stages) });
  }
}

function addStep(
  before: StageList | null,
  definition: StepDefinition,
  asked: Condition<never> | null = null,
): StageList {
  // The builder's types ensure that the condition accepts the output of the stage before.
  const condition = asked as Condition<unknown> | null;
  return addStage(before, [definition], { parallel: false, condition });
}

function addConditional(
  before: StageList | null,
  condition: Condition<never>,
  definition: StepDefinition,
): StageList {
  if (typeof condition === "function") return addStep(before, definition, condition);
  throw new InvalidArgumentError({ argument: "condition", reason: "must be a function" });
}

function addParallel(before: StageList | null, definitions: readonly StepDefinition[]): StageList {
  if (definitions.length > 0) {
    return addStage(before, definitions, { parallel: true, condition: null });
  }
  throw new InvalidArgumentError({ argument: "steps", reason: "must not be empty" });
}

function addStage(
  before: StageList | null,
  definitions: readonly StepDefinition[],
  stage: Omit<Stage, "steps">,
): StageList {
  for (const definition of definitions) checkStep(definition);
  const first = (before?.stage.steps.at(-1)?.index ?? -1) + 1;
  const steps = definitions.map((definition, at) => ({ index: first + at, definition }));
  return { before, stage: { ...stage, steps } };
}

/** @throws {InvalidArgumentError} if it is not a step. */
function checkStep(definition: unknown): void {
  const { id, invoke } = (definition ?? {}) as Record<string, unknown>;
  if (isId(id) && typeof invoke === "function") return;
  throw new InvalidArgumentError({
    argument: "step",
    reason: "must be a result of `defineStep`",
  });
}

/** @throws {InvalidArgumentError} if it is not a built workflow. */
export function checkWorkflow(workflow: unknown): void {
  const { id, version, plan } = (workflow ?? {}) as Record<string, unknown>;
  if (isId(id) && isId(version) && typeof plan === "object") return;
  throw new InvalidArgumentError({
    argument: "workflow",
    reason: "must be a result of a workflow builder's `build()`",
  });
}

/** @throws {InvalidArgumentError} if two steps have the same id. */
function planStages(list: StageList): WorkflowPlan {
  const stages: Stage[] = [];
  for (let at: StageList | null = list; at !== null; at = at.before) stages.push(at.stage);
  stages.reverse();
  const stepIds = new Set<string>();
  for (const { definition } of stages.flatMap(({ steps }) => steps)) {
    if (stepIds.has(definition.id)) {
      throw new InvalidArgumentError({
        argument: "workflow",
        reason: `has two steps with the id ${definition.id}`,
      });
    }
    stepIds.add(definition.id);
  }
  return { stages, stepIds };
}
