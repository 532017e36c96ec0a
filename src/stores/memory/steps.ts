import { StepExecutionAlreadyExistsError, StepExecutionNotFoundError } from "../../errors.ts";
import { parseId } from "../../model/arguments.ts";
import { compareSteps } from "../../model/bundles.ts";
import { durationBetween, planStepUpdate, type StepExecutionChanges } from "../../model/changes.ts";
import { completeNewStep } from "../../model/new-rows.ts";
import { parseFenceOptions, parseOptions, parseReadOptions } from "../../model/options.ts";
import { checkStepUpdate } from "../../model/transitions.ts";
import { withInput } from "../../model/step-inputs.ts";
import type { EncodedRow } from "../../schema/row-codec.ts";
import { rowCodecs, stepSummaryProperties } from "../../schema/row-codecs.ts";
import type { NewStepExecution, StepExecution, StepExecutionSummary } from "../../schema/rows.ts";
import type { OperationOptions, ReadOptions } from "../../store/options.ts";
import type { StepStore } from "../../store/steps.ts";
import { requireHeldRun, requireRun, unset } from "./runs.ts";
import { withResult, type PlannedChange, type StoreContext } from "./store-context.ts";
import type { Tables } from "./tables.ts";

const codec = rowCodecs.step;

/** The writes of this capability, for the operations and for batches. */
export function createStepPlans({ clock }: Pick<StoreContext, "clock">) {
  return {
    createStepExecution(newStep: Readonly<NewStepExecution>): PlannedChange<StepExecution> {
      const step = completeNewStep(newStep, clock());
      const { runId, stepId } = step;
      const row = codec.encode(step);
      return (tables) => {
        requireRun(tables, runId);
        if (tables.getChild("steps", runId, stepId) !== undefined) {
          throw new StepExecutionAlreadyExistsError({ runId, stepId });
        }
        tables.putChild("steps", runId, stepId, row);
        return () => decodeStep(tables, row);
      };
    },

    updateStepExecution(
      run: string,
      step: string,
      changes: StepExecutionChanges,
      options?: unknown,
    ): PlannedChange<StepExecution> {
      const runId = parseId(run, "runId");
      const stepId = parseId(step, "stepId");
      const { fence } = parseFenceOptions(options);
      const { set, setOnce, computeDuration } = planStepUpdate(changes, clock());
      const encoded = codec.encode(set);
      const encodedOnce = codec.encode(setOnce);
      return (tables) => {
        const row = tables.getChild("steps", runId, stepId);
        if (row === undefined) throw new StepExecutionNotFoundError({ runId, stepId });
        requireHeldRun(tables, runId, fence);
        checkStepUpdate(readStepGuard(row), set.status);
        const updated = { ...row, ...encoded, ...unset(row, encodedOnce) };
        if (computeDuration) {
          const { startedAt, completedAt } = codec.decode(updated);
          updated.durationMs = durationBetween(startedAt, completedAt);
        }
        tables.putChild("steps", runId, stepId, updated);
        return () => decodeStep(tables, updated);
      };
    },
  };
}

/** What a change is checked against. */
const guardProperties = ["runId", "stepId", "status"] as const;

function readStepGuard(step: EncodedRow<StepExecution>) {
  return codec.decodeCells(
    guardProperties,
    guardProperties.map((name) => step[name]),
  );
}

/** The step with its input, which may follow from outputs. */
function decodeStep(tables: Tables, row: EncodedRow<StepExecution>): StepExecution {
  const step = codec.decode(row);
  return withInput(step, (stepId) => {
    const output = tables.getChild("outputs", step.runId, stepId);
    return output === undefined ? null : rowCodecs.output.decode(output).output;
  });
}

/** The run's steps in their order. */
export function stepsOf(tables: Tables, runId: string): StepExecution[] {
  return Array.from(tables.children("steps", runId), ([, row]) => decodeStep(tables, row)).toSorted(
    compareSteps,
  );
}

function stepSummariesOf(tables: Tables, runId: string): StepExecutionSummary[] {
  return Array.from(tables.children("steps", runId), ([, row]) =>
    codec.decodeCells(
      stepSummaryProperties,
      stepSummaryProperties.map((name) => row[name]),
    ),
  ).toSorted(compareSteps);
}

export function createStepOperations(context: StoreContext): StepStore {
  const { read, write } = context;
  const plans = createStepPlans(context);

  async function findStepExecution(run: string, step: string, options?: OperationOptions) {
    const runId = parseId(run, "runId");
    const stepId = parseId(step, "stepId");
    const { signal } = parseOptions(options);
    return read(signal, (tables) => {
      const row = tables.getChild("steps", runId, stepId);
      return row === undefined ? null : decodeStep(tables, row);
    });
  }

  return {
    async createStepExecution(newStep, options) {
      const { signal } = parseOptions(options);
      return write(signal, withResult(plans.createStepExecution(newStep)));
    },

    async getStepExecution(runId, stepId, options) {
      const found = await findStepExecution(runId, stepId, options);
      if (found === null) throw new StepExecutionNotFoundError({ runId, stepId });
      return found;
    },

    findStepExecution,

    async updateStepExecution(runId, stepId, changes, options) {
      const plan = plans.updateStepExecution(runId, stepId, changes, options);
      return write(options?.signal, withResult(plan));
    },

    listStepExecutions: (async (run: string, options?: ReadOptions) => {
      const runId = parseId(run, "runId");
      const { signal, payloads } = parseReadOptions(options);
      return read(signal, (tables) =>
        payloads === false ? stepSummariesOf(tables, runId) : stepsOf(tables, runId),
      );
    }) as StepStore["listStepExecutions"],
  };
}
