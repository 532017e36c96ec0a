import { RunNotFoundError } from "../../../errors.ts";
import { checkFence, type Fence } from "../../../model/transitions.ts";
import { runGuardProperties } from "../statements/runs.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { firstRow, leftOut, type PlannedWrite, type StoreContext } from "./context.ts";

/** A save under a run, which changes nothing where the run is missing or the fence does not hold. */
export function planFencedSave(
  { codecs, statements }: Pick<StoreContext, "codecs" | "statements">,
  {
    write,
    runId,
    fence,
    codec,
  }: {
    readonly write: BoundStatement;
    readonly runId: string;
    readonly fence: Fence | null;
    readonly codec: { readonly table: string };
  },
): PlannedWrite<void> {
  return {
    write,
    inquire: () => [statements.runs.getGuard.bind({ runId })],
    guard: () => statements.guards.changed.bind({}),
    conclude(changes, [found]) {
      if (changes > 0) return;
      const row = firstRow(found);
      if (row === null) throw new RunNotFoundError({ runId });
      checkFence(codecs.run.decodeCells(runGuardProperties, row), fence);
      throw leftOut(codec);
    },
  };
}
