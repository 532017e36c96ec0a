import { callbackSchema, operationShape } from "../model/arguments.ts";
import { runFilterSchema } from "../model/run-queries.ts";

/** What every transfer accepts: which runs, who is told how far it is, and what ends it. */
export function transferShape<Progress>() {
  return {
    filter: runFilterSchema.optional(),
    onProgress: callbackSchema<Progress>(),
    ...operationShape,
  };
}
