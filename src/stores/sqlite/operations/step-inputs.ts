import { inputSteps, withInput } from "../../../model/step-inputs.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { StepExecution } from "../../../schema/rows.ts";
import { textOf, type Reader, type StatementResult } from "../connections/connection.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { readRows, type StoreContext } from "./context.ts";

type Rows = readonly (readonly unknown[])[];

/** How steps of one run are read. */
export interface StepQuery {
  readonly runId: string;
  readonly statement: BoundStatement;
  /** The steps in what the statement found; null if there are more. */
  readonly stepsOf: (found: StatementResult | undefined) => StepExecution[] | null;
  readonly readAll: (reader: Reader) => Promise<StepExecution[]>;
}

/** Steps with their inputs, as they were at one moment. */
export async function readSteps(
  context: StoreContext,
  { runId, statement, stepsOf, readAll }: StepQuery,
): Promise<StepExecution[]> {
  const { connection, codecs, statements } = context;
  const [found] = await connection.read([statement]);
  const steps = stepsOf(found);
  const stepIds = steps && outputsOf(steps);
  if (stepIds === "[]") return steps ?? [];
  if (stepIds !== null) {
    // The row once more: since it was read the run may have been deleted, or an output replaced.
    const [again, outputs] = await connection.read([
      statement,
      statements.outputs.ofSteps.bind({ runId, stepIds, after: "" }),
    ]);
    const present = stepsOf(again);
    const rows = outputs?.rows ?? [];
    const isWhole = rows.length === Number(rows[0]?.at(-1) ?? 0);
    if (present !== null && isWhole && outputsOf(present) === stepIds) {
      return addInputs(codecs, present, rows);
    }
  }
  return connection.snapshot(async (reader) =>
    readInputs({ codecs, statements, reader }, await readAll(reader)),
  );
}

/** The ids of the steps whose outputs the inputs are made of, as JSON. */
function outputsOf(steps: readonly StepExecution[]): string {
  return JSON.stringify([...new Set(steps.flatMap(inputSteps))]);
}

/** Gives steps of one run their inputs, of which those that are made of outputs are not in their rows. */
export async function readInputs(
  {
    codecs,
    statements,
    reader,
  }: Pick<StoreContext, "codecs" | "statements"> & { readonly reader: Reader },
  steps: readonly StepExecution[],
): Promise<StepExecution[]> {
  const stepIds = outputsOf(steps);
  const [first] = steps;
  if (first === undefined || stepIds === "[]") return [...steps];
  const outputs: (readonly unknown[])[] = [];
  for (let after = ""; ;) {
    const rows = await readRows(
      reader,
      statements.outputs.ofSteps.bind({ runId: first.runId, stepIds, after }),
    );
    for (const row of rows) outputs.push(row);
    const last = rows.at(-1);
    if (last === undefined || last.at(-1) === rows.length) break;
    after = textOf(last[codecs.output.properties.indexOf("stepId")]);
  }
  return addInputs(codecs, steps, outputs);
}

/** The steps with their inputs; `outputs` are rows of `step_outputs` of their run. */
export function addInputs(
  { output: codec }: RowCodecs,
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
