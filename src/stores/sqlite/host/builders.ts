import type { BatchWriter } from "../../../store/batches.ts";
import { checkWrites } from "../../checked-writes.ts";
import type { PlannedWrite, PlannedWrites, StoreContext } from "../operations/context.ts";
import { createWrites } from "../operations/writes.ts";
import type { Builder, Database } from "../statements/statement.ts";

/** A builder of a write. On a synchronous driver, `run` executes it. */
export interface WriteBuilder extends Builder {
  run(): unknown;
}

/**
 * The store's writes as Drizzle builders. Each changes nothing, and does not fail, if its precondition does not hold.
 * `guard()` after a write makes the app's batch fail in that case, so that the batch is rolled back.
 *
 * A key that is saved after the builder `deleteState` starts at revision 1 again, unlike after `store.deleteState`.
 */
export type StatementBuilders = {
  [Name in keyof BatchWriter]: (...args: Parameters<BatchWriter[Name]>) => WriteBuilder;
} & {
  /** Fails if the statement before it changed nothing. */
  guard(): WriteBuilder;
};

export function createBuilders(context: StoreContext, db: Database): StatementBuilders {
  const writes = checkWrites<PlannedWrites>(createWrites(context), context.clock);
  const builders = Object.entries(writes).map(([name, plan]) => [
    name,
    (...args: never[]) =>
      (plan as (...args: never[]) => PlannedWrite<unknown>)(...args).write.build(db),
  ]);
  return {
    ...(Object.fromEntries(builders) as Record<keyof BatchWriter, () => WriteBuilder>),
    guard: () => context.statements.guards.changed.bind({}).build(db) as WriteBuilder,
  };
}
