import * as z from "zod";
import { StoreClosedError } from "../../errors.ts";
import { parseArgument } from "../../arguments.ts";
import { systemClock, type Clock } from "../../store/clock.ts";
import { MemoryOperations } from "./memory-operations.ts";
import { BaseTables } from "./tables.ts";

export interface MemoryStoreOptions {
  readonly clock?: Clock | undefined;
}

const optionsSchema = z.strictObject({
  clock: z.custom<Clock>((value) => typeof value === "function", "must be a function").optional(),
});

/**
 * A `WorkflowStore` in the memory of this process: the same rows, the same answers and the same errors as
 * `LibSQLStore`, gone with the process.
 */
export class MemoryStore extends MemoryOperations {
  readonly #gate: { open: boolean };

  constructor(options: MemoryStoreOptions = {}) {
    const { clock } = parseArgument(optionsSchema, options, "options");
    const gate = { open: true };
    super(new BaseTables(), clock ?? systemClock, () => {
      if (!gate.open) throw new StoreClosedError();
    });
    this.#gate = gate;
  }

  override async close(): Promise<void> {
    this.#gate.open = false;
  }
}
