import type * as z from "zod";
import { StateNotFoundError } from "../../errors.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { parseStepValue } from "../definition/step-validation.ts";

/** The state of the run, shared by its steps. */
export interface StepState {
  /**
   * The value of a key; undefined when there is none.
   *
   * With a schema it is what the schema makes of it, and typed so. @throws {StepValidationError}
   */
  get(key: string): Promise<unknown>;
  get<Schema extends z.ZodType>(key: string, schema: Schema): Promise<z.output<Schema> | undefined>;

  /**
   * Stores the value. It is durable when this resolves, whatever becomes of the step: a step that is run again
   * sees what it stored before. Within `ctx.transaction` it is committed with the rest, or not at all.
   *
   * @throws {InvalidValueError} {LeaseLostError}
   */
  set(key: string, value: unknown): Promise<void>;

  /** Removes the key; what is not there stays away. @throws {LeaseLostError} */
  delete(key: string): Promise<void>;

  /** Every key with its value. */
  all(): Promise<Record<string, unknown>>;
}

/** Reads the state of a run through the store that `store` gives at that moment. */
export function createStateReader({
  runId,
  stepId,
  store,
}: {
  readonly runId: string;
  readonly stepId: string;
  readonly store: () => WorkflowStore;
}): Pick<StepState, "get" | "all"> {
  async function get(key: string): Promise<unknown>;
  async function get<Schema extends z.ZodType>(
    key: string,
    schema: Schema,
  ): Promise<z.output<Schema>>;
  async function get(key: string, schema?: z.ZodType): Promise<unknown> {
    let value: unknown;
    try {
      value = await store().loadState(runId, key);
    } catch (error) {
      if (error instanceof StateNotFoundError) return undefined;
      throw error;
    }
    if (schema === undefined) return value;
    return parseStepValue(schema, value, { stepId, root: `state.${key}` });
  }
  return { get, all: async () => store().getAllState(runId) };
}
