import { inputSteps, withInput } from "../../model/step-inputs.ts";
import type { RowCodecs } from "../../schema/row-codecs.ts";
import type { StepExecution } from "../../schema/rows.ts";
import { textOf } from "./connection.ts";
import { readRows, type StoreContext } from "./store-context.ts";

type Rows = readonly (readonly unknown[])[];

/** Gives steps of one run their inputs, of which those that are made of outputs are not in their rows. */
export async function readInputs(
  { connection, codecs, statements }: StoreContext,
  steps: readonly StepExecution[],
): Promise<StepExecution[]> {
  const stepIds = JSON.stringify([...new Set(steps.flatMap(inputSteps))]);
  const [first] = steps;
  if (first === undefined || stepIds === "[]") return [...steps];
  const outputs: (readonly unknown[])[] = [];
  for (let after = ""; ;) {
    const rows = await readRows(
      connection,
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
