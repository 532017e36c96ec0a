import { compareSteps } from "../../../model/bundles.ts";
import { inputSteps, withInput } from "../../../model/step-inputs.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepExecution } from "../../../schema/rows.ts";
import type { StepKey } from "../../checked-writes.ts";
import { textOf, type Queries, type StatementResult } from "../connections/connection.ts";
import { readEveryPage, wholePage } from "../statements/children.ts";
import type { BoundStatement } from "../statements/statement.ts";
import type { StoreContext } from "./context.ts";

type Rows = readonly (readonly unknown[])[];

const allRows = (found: StatementResult | undefined): Rows => found?.rows ?? [];

export async function findStep(context: StoreContext, key: StepKey): Promise<StepExecution | null> {
  const statement = context.statements.steps.get.bind({ ...key });
  const readRow = function* (): Queries<Rows> {
    return allRows((yield [statement])[0]);
  };
  const [step = null] = await readSteps(context, key.runId, statement, allRows, readRow);
  return step;
}

export function listSteps(context: StoreContext, runId: string): Promise<StepExecution[]> {
  const { steps } = context.statements.children;
  const query = { runIds: [runId] };
  return readSteps(context, runId, steps.page(query), wholePage, () => readEveryPage(steps, query));
}

/**
 * Steps of one run with their inputs, of one snapshot. `rowsOf` returns the rows of the statement, or null if there are
 * more.
 */
async function readSteps(
  context: StoreContext,
  runId: string,
  statement: BoundStatement,
  rowsOf: (found: StatementResult | undefined) => Rows | null,
  readAll: () => Queries<Rows>,
): Promise<StepExecution[]> {
  const { connection, codecs, statements } = context;
  const [found] = await connection.read([statement]);
  const rows = rowsOf(found);
  const steps = rows && decodeSteps(codecs, rows);
  const stepIds = steps && outputsOf(steps);
  if (stepIds === "[]") return steps ?? [];
  if (stepIds !== null) {
    // The steps are read again, because the run may have been deleted, or an output replaced, since the first query.
    const [again, outputs] = await connection.read([
      statement,
      statements.children.outputs.page({ runIds: [runId], stepIds }),
    ]);
    const present = decodeSteps(codecs, rowsOf(again) ?? []);
    const outputRows = wholePage(outputs);
    if (outputRows !== null && outputsOf(present) === stepIds) {
      return addInputs(codecs, present, outputRows);
    }
  }
  return connection.snapshot(function* () {
    return yield* readInputs(context, decodeSteps(codecs, yield* readAll()));
  });
}

function decodeSteps({ steps: codec }: RowCodecs, rows: Rows): StepExecution[] {
  return rows.map((row) => codec.decodeCells(codec.properties, row)).toSorted(compareSteps);
}

/** The ids of the steps whose outputs are inputs of these steps, as JSON. */
function outputsOf(steps: readonly StepExecution[]): string {
  return JSON.stringify([...new Set(steps.flatMap(inputSteps))]);
}

/** Returns the steps of one run with their inputs. */
export function* readInputs(
  { codecs, statements }: Pick<StoreContext, "codecs" | "statements">,
  steps: readonly StepExecution[],
): Queries<StepExecution[]> {
  const stepIds = outputsOf(steps);
  const [first] = steps;
  if (first === undefined || stepIds === "[]") return [...steps];
  const query = { runIds: [first.runId], stepIds };
  return addInputs(codecs, steps, yield* readEveryPage(statements.children.outputs, query));
}

/** The steps with their inputs. `outputs` are rows of `step_outputs` of their run. */
export function addInputs(
  { outputs: codec }: RowCodecs,
  steps: readonly StepExecution[],
  outputs: Rows,
): StepExecution[] {
  if (steps.every(({ inputFrom }) => inputFrom === null)) return [...steps];
  const place = codec.properties.indexOf("stepId");
  const rows = new Map(outputs.map((row) => [textOf(row[place]), row]));
  return steps.map((step) =>
    withInput(step, (stepId) => {
      const row = rows.get(stepId);
      return row === undefined ? null : codec.decodeCells(codec.properties, row).output;
    }),
  );
}
