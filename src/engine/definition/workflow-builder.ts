import * as z from "zod/mini";
import { InvalidArgumentError } from "../../errors.ts";
import { parseArgument } from "../../arguments.ts";
import type { Tags } from "../../schema/json-types.ts";
import { idSchema, isId, tagsSchema, timeoutSchema } from "../../schema/zod.ts";
import {
  addCondition,
  checkStep,
  type ConditionalStep,
  type OtherwiseValue,
  type StepIfOptions,
} from "./conditional-step.ts";
import { labelShape, resolveSettings, stepSettingsShape } from "./define-step.ts";
import type { StepDefinition, StepOutput, StepSettings } from "./step-definition.ts";
import { maxLostLeasesSchema } from "../engine-options.ts";
import type { Condition, Stage, StepInWorkflow, WorkflowPlan } from "./workflow-plan.ts";

declare const workflowTypes: unique symbol;

/** A workflow that an engine can run. */
export interface Workflow<Input = never, Output = unknown> {
  readonly id: string;
  readonly version: string;
  readonly name: string | null;
  readonly description: string | null;
  /** The tags of all its runs. */
  readonly tags: Readonly<Tags>;
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
export type OutputsById<Steps extends readonly AnyStep<never>[], ContinueOnError = false> = {
  [Step in Steps[number] as Step["id"]]: StepOutput<Step> | NullIf<ContinueOnError>;
};

/** The input type that all steps accept. */
type CommonInput<Steps extends readonly AnyStep<never>[]> = {
  [Index in keyof Steps]: Steps[Index] extends StepDefinition<string, infer Input>
    ? (input: Input) => void
    : never;
}[number] extends (input: infer Input) => void
  ? Input
  : never;

/** Null is an output of every step if the steps continue on an error by default. */
type NullIf<ContinueOnError> = true extends ContinueOnError ? null : never;

interface Settings extends Omit<Workflow, "plan" | typeof workflowTypes> {
  readonly stepDefaults: StepSettings;
}

const optionsSchema = z.strictObject({
  id: idSchema,
  version: z.optional(idSchema),
  ...labelShape,
  tags: z.optional(tagsSchema),
  stepDefaults: z.optional(z.strictObject(stepSettingsShape)),
  timeoutMs: z.optional(timeoutSchema),
  maxLostLeases: z.optional(maxLostLeasesSchema),
});

/**
 * Begins a workflow.
 *
 * An engine runs only the versions that are registered with it. Change the version if the steps, their order or their
 * meaning change.
 *
 * @throws {InvalidArgumentError} that names the option.
 */
export function defineWorkflow<const ContinueOnError extends boolean = false>(options: {
  readonly id: string;
  /** Defaults to "1". */
  readonly version?: string | undefined;
  /** A name for people. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** The tags of all its runs. Those of a start have precedence. */
  readonly tags?: Readonly<Tags> | undefined;
  /**
   * Defaults for the options of its steps. With `continueOnError: true`, the type of every output includes null, even if
   * the step has its own `continueOnError`.
   */
  readonly stepDefaults?: StepSettings<ContinueOnError> | undefined;
  /** The maximum duration of a run in milliseconds. Then it fails with `RunTimeoutError`. Defaults to no limit. */
  readonly timeoutMs?: number | undefined;
  /**
   * After this number of lost leases in a row without progress, a run fails with `RunAbandonedError`. Defaults to the
   * engine's number.
   */
  readonly maxLostLeases?: number | undefined;
}): EmptyWorkflow<ContinueOnError> {
  const parsed = parseArgument(optionsSchema, options, "workflow");
  const settings: Settings = {
    id: parsed.id,
    version: parsed.version ?? "1",
    name: parsed.name ?? null,
    description: parsed.description ?? null,
    tags: Object.freeze({ ...parsed.tags }),
    timeoutMs: parsed.timeoutMs ?? null,
    maxLostLeases: parsed.maxLostLeases ?? null,
    stepDefaults: parsed.stepDefaults ?? {},
  };
  // The types of its methods differ, because the first step decides what the workflow accepts.
  const empty: object = new WorkflowBuilder(settings, []);
  return empty as EmptyWorkflow<ContinueOnError>;
}

/** A workflow without steps. The first step decides what the workflow accepts. */
export interface EmptyWorkflow<ContinueOnError extends boolean = false> {
  step<Input, Output>(
    step: StepDefinition<string, Input, Output>,
  ): WorkflowBuilder<Input, Output | NullIf<ContinueOnError>, ContinueOnError>;
  parallel<const Steps extends readonly [AnyStep<never>, ...AnyStep<never>[]]>(
    ...steps: Steps
  ): WorkflowBuilder<CommonInput<Steps>, OutputsById<Steps, ContinueOnError>, ContinueOnError>;
  stepIf<Input, Output>(
    condition: Condition<NoInfer<Input>>,
    step: StepDefinition<string, Input, Output>,
  ): WorkflowBuilder<Input, Input | Output | NullIf<ContinueOnError>, ContinueOnError>;
  stepIf<Input, Output, Otherwise extends OtherwiseValue>(
    condition: Condition<NoInfer<Input>>,
    step: StepDefinition<string, Input, Output>,
    options: StepIfOptions<Otherwise>,
  ): WorkflowBuilder<Input, Otherwise | Output | NullIf<ContinueOnError>, ContinueOnError>;
}

/**
 * A workflow under construction. It accepts `Input`, and the next step gets `Current`. Each method returns a new builder
 * and leaves this one unchanged.
 */
export class WorkflowBuilder<Input, Current, ContinueOnError extends boolean = false> {
  readonly #settings: Settings;
  readonly #stages: readonly Stage[];

  constructor(settings: Settings, stages: readonly Stage[]) {
    this.#settings = settings;
    this.#stages = stages;
  }

  /** Adds a step. Its input is the output of the stage before it. */
  step<Output>(
    step: StepDefinition<string, Current, Output>,
  ): WorkflowBuilder<Input, Output | NullIf<ContinueOnError>, ContinueOnError> {
    return this.#add([step]);
  }

  /**
   * Adds steps that run in parallel on the same input. The next step gets `{ [stepId]: output }`. If the last attempt of
   * one fails, the run fails after the others have ended.
   */
  parallel<const Steps extends readonly [AnyStep<Current>, ...AnyStep<Current>[]]>(
    ...steps: Steps
  ): WorkflowBuilder<Input, OutputsById<Steps, ContinueOnError>, ContinueOnError> {
    return this.#add(steps, true);
  }

  /**
   * Adds a step that runs if the condition is true. Otherwise it is SKIPPED, and the next step gets `otherwise`, or the
   * input of this step if `otherwise` is not given.
   *
   * @throws {InvalidValueError} if JSON cannot hold `otherwise`.
   */
  stepIf<Output>(
    condition: Condition<Current>,
    step: StepDefinition<string, Current, Output>,
  ): WorkflowBuilder<Input, Current | Output | NullIf<ContinueOnError>, ContinueOnError>;
  stepIf<Output, Otherwise extends OtherwiseValue>(
    condition: Condition<Current>,
    step: StepDefinition<string, Current, Output>,
    options: StepIfOptions<Otherwise>,
  ): WorkflowBuilder<Input, Otherwise | Output | NullIf<ContinueOnError>, ContinueOnError>;
  stepIf(
    condition: Condition<never>,
    step: StepDefinition,
    options: Partial<StepIfOptions<unknown>> = {},
  ) {
    return this.#add<unknown>([addCondition(condition, step, options)]);
  }

  /** @throws {InvalidArgumentError} if there is no step, or two steps have the same id. */
  build(): Workflow<Input, Current> {
    const { stepDefaults: _, ...identity } = this.#settings;
    return Object.freeze({ ...identity, plan: planOf(this.#stages) });
  }

  #add<Next>(
    definitions: readonly StepDefinition[],
    parallel = false,
  ): WorkflowBuilder<Input, Next, ContinueOnError> {
    if (definitions.length === 0) {
      throw new InvalidArgumentError({ argument: "steps", reason: "must not be empty" });
    }
    for (const definition of definitions) checkStep(definition);
    const first = (this.#stages.at(-1)?.steps.at(-1)?.index ?? -1) + 1;
    const steps = definitions.map((definition, at) => ({
      index: first + at,
      definition: withDefaults(definition, this.#settings.stepDefaults),
    }));
    return new WorkflowBuilder(this.#settings, [...this.#stages, { parallel, steps }]);
  }
}

function withDefaults(step: StepDefinition, defaults: StepSettings): StepInWorkflow {
  const { condition, otherwise }: Partial<ConditionalStep> = step;
  return Object.freeze({
    ...step,
    ...resolveSettings(step.settings, defaults),
    // The builder's types ensure that the condition accepts the output of the stage before.
    condition: (condition ?? null) as Condition<unknown> | null,
    otherwise: otherwise ?? null,
  });
}

/** The names and descriptions of a workflow and its steps. */
export interface WorkflowLabels extends Pick<Workflow, "id" | "version" | "name" | "description"> {
  readonly steps: readonly Pick<StepDefinition, "id" | "name" | "description">[];
}

export function labelsOf({ id, version, name, description, plan }: Workflow): WorkflowLabels {
  const steps = plan.stages
    .flatMap((stage) => stage.steps)
    .map(({ definition: step }) => ({
      id: step.id,
      name: step.name,
      description: step.description,
    }));
  return { id, version, name, description, steps };
}

/** @throws {InvalidArgumentError} if it is not a built workflow. */
export function checkWorkflow(workflow: unknown): void {
  if (isWorkflow(workflow)) return;
  throw invalidWorkflow("must be a result of a workflow builder's `build()`");
}

/** True for a built workflow, also for one of another copy of this package. */
export function isWorkflow(value: unknown): value is Workflow {
  const { id, version, plan } = (value ?? {}) as Partial<Workflow>;
  return isId(id) && isId(version) && Array.isArray(plan?.stages) && plan.stages.every(isStage);
}

function isStage(value: unknown): boolean {
  const { steps } = (value ?? {}) as Partial<Stage>;
  return Array.isArray(steps) && steps.every((step) => step?.definition instanceof Object);
}

/** @throws {InvalidArgumentError} if there is no step, or two steps have the same id. */
function planOf(stages: readonly Stage[]): WorkflowPlan {
  if (stages.length === 0) throw invalidWorkflow("must have a step");
  const stepIds = new Set<string>();
  for (const { definition } of stages.flatMap(({ steps }) => steps)) {
    if (stepIds.has(definition.id))
      throw invalidWorkflow(`has two steps with the id ${definition.id}`);
    stepIds.add(definition.id);
  }
  return { stages, stepIds };
}

/** The error of a workflow that cannot be built or registered. */
export function invalidWorkflow(reason: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument: "workflow", reason });
}
