import {
  RunNotFoundError,
  StepExecutionAlreadyExistsError,
  StepExecutionNotFoundError,
} from "../../../errors.ts";
import { parseId } from "../../../model/arguments.ts";
import { compareSteps } from "../../../model/bundles.ts";
import { planStepUpdate, type StepExecutionChanges } from "../../../model/changes.ts";
import { completeNewStep } from "../../../model/new-rows.ts";
import { parseFenceOptions, parseOptions, parseReadOptions } from "../../../model/options.ts";
import { checkFence, checkStepUpdate } from "../../../model/transitions.ts";
import { stepSummaryProperties } from "../../../schema/row-codecs.ts";
import type {
  NewStepExecution,
  StepExecution,
  StepExecutionSummary,
} from "../../../schema/rows.ts";
import type { OperationOptions, ReadOptions } from "../../../store/options.ts";
import type { StepStore } from "../../../store/steps.ts";
import { readChildren, readEveryPage, wholePage } from "../statements/children.ts";
import type { Reader, StatementResult } from "../connections/connection.ts";
import { fenceArguments } from "../statements/fragments.ts";
import { runGuardProperties } from "../statements/runs.ts";
import { readInputs, readSteps, type StepQuery } from "./step-inputs.ts";
import type { StepProperty } from "../statements/steps.ts";
import { carryOut, firstRow, leftOut, type PlannedWrite, type StoreContext } from "./context.ts";

/** The writes of this capability, for the operations and for batches. */
export function createStepPlans({ codecs, statements, clock }: StoreContext) {
  return {
    createStepExecution(newStep: Readonly<NewStepExecution>): PlannedWrite<StepExecution> {
      const step = completeNewStep(newStep, clock());
      const { runId, stepId } = step;
      const encoded = codecs.step.encode(step);
      return {
        write: statements.steps.insert.bind(encoded),
        inquire: () => [statements.steps.findTaken.bind({ runId, stepId })],
        guard: () => statements.guards.changed.bind({}),
        conclude(changes, [found]) {
          if (changes > 0) return codecs.step.decode(encoded);
          const row = firstRow(found);
          if (row === null) throw new RunNotFoundError({ runId });
          if (row[1] === null) throw leftOut(codecs.step);
          throw new StepExecutionAlreadyExistsError({ runId, stepId });
        },
      };
    },

    updateStepExecution(
      run: string,
      step: string,
      changes: StepExecutionChanges,
      options?: unknown,
    ): PlannedWrite<StepExecution> {
      const runId = parseId(run, "runId");
      const stepId = parseId(step, "stepId");
      const { fence } = parseFenceOptions(options);
      const { set, setOnce, computeDuration } = planStepUpdate(changes, clock());
      const shape = {
        set: Object.keys(set) as StepProperty[],
        setOnce: Object.keys(setOnce) as StepProperty[],
        computeDuration,
        fenced: fence !== null,
      };
      return {
        write: statements.steps.update(shape).bind({
          ...codecs.step.encode(set),
          ...codecs.step.encode(setOnce),
          whereRunId: runId,
          whereStepId: stepId,
          ...fenceArguments(fence),
        }),
        inquire: () => [
          ...(fence === null ? [] : [statements.runs.getGuard.bind({ runId })]),
          statements.steps.get.bind({ runId, stepId }),
        ],
        guard: () => statements.guards.changed.bind({}),
        conclude(changed, inquiry) {
          const row = firstRow(inquiry.at(-1));
          if (row === null) throw new StepExecutionNotFoundError({ runId, stepId });
          const updated = codecs.step.decodeCells(codecs.step.properties, row);
          if (changed > 0) return updated;
          const holder = fence === null ? null : firstRow(inquiry[0]);
          if (holder !== null) {
            checkFence(codecs.run.decodeCells(runGuardProperties, holder), fence);
          }
          checkStepUpdate(updated, set.status);
          throw leftOut(codecs.step);
        },
      };
    },
  };
}

export function createStepOperations(context: StoreContext): StepStore {
  const { connection, codecs, statements, perform } = context;
  const plans = createStepPlans(context);

  const decode = (row: readonly unknown[]): StepExecution =>
    codecs.step.decodeCells(codecs.step.properties, row);

  const inOrder = (rows: readonly (readonly unknown[])[]): StepExecution[] =>
    rows.map(decode).toSorted(compareSteps);

  async function withInputs(step: StepExecution): Promise<StepExecution> {
    const [complete = step] = await readInputs({ ...context, reader: connection }, [step]);
    return complete;
  }

  const stepsOf = (found: StatementResult | undefined): StepExecution[] => {
    const row = firstRow(found);
    return row === null ? [] : [decode(row)];
  };

  async function findStepExecution(run: string, step: string, options?: OperationOptions) {
    const runId = parseId(run, "runId");
    const stepId = parseId(step, "stepId");
    const { signal } = parseOptions(options);
    const statement = statements.steps.get.bind({ runId, stepId });
    const readAll = async (reader: Reader): Promise<StepExecution[]> => {
      const [found] = await reader.read([statement]);
      return stepsOf(found);
    };
    return perform(signal, async () => {
      const [found = null] = await readSteps(context, { runId, statement, stepsOf, readAll });
      return found;
    });
  }

  /** The steps of a run without their inputs, in order. */
  async function listSummaries(runId: string): Promise<StepExecutionSummary[]> {
    const rows = await readChildren(connection, statements.children.stepSummaries, runId);
    return rows
      .map((row) => codecs.step.decodeCells(stepSummaryProperties, row))
      .toSorted(compareSteps);
  }

  return {
    async createStepExecution(newStep, options) {
      const { signal } = parseOptions(options);
      const plan = plans.createStepExecution(newStep);
      return perform(signal, async () => withInputs(await carryOut(connection, plan, signal)));
    },

    async getStepExecution(runId, stepId, options) {
      const found = await findStepExecution(runId, stepId, options);
      if (found === null) throw new StepExecutionNotFoundError({ runId, stepId });
      return found;
    },

    findStepExecution,

    async updateStepExecution(runId, stepId, changes, options) {
      const plan = plans.updateStepExecution(runId, stepId, changes, options);
      return perform(options?.signal, async () =>
        withInputs(await carryOut(connection, plan, options?.signal)),
      );
    },

    listStepExecutions: (async (run: string, options?: ReadOptions) => {
      const runId = parseId(run, "runId");
      const { signal, payloads } = parseReadOptions(options);
      if (payloads === false) return perform(signal, () => listSummaries(runId));
      const { steps: children } = statements.children;
      const query: StepQuery = {
        runId,
        statement: children.page([runId]),
        stepsOf(found) {
          const rows = wholePage(found);
          return rows && inOrder(rows);
        },
        readAll: async (reader) => inOrder(await readEveryPage(reader, children, [runId])),
      };
      return perform(signal, () => readSteps(context, query));
    }) as StepStore["listStepExecutions"],
  };
}
