import type { RunBundle } from "../model/bundles.ts";
import type { BatchDemands } from "../model/options.ts";
import type { WriteName, WritePlanner } from "./checked-writes.ts";
import { writeBundles } from "./memory/bundles.ts";
import { BaseTables, type Tables } from "./memory/tables.ts";
import { checkDemands, writes } from "./memory/writes.ts";

/** A write that can be repeated in memory. */
export interface Rehearsed {
  readonly rehearse?: (tables: Tables) => unknown;
}

/** Adds to each planned write the same write in memory. */
export function withRehearsals<Plans extends Record<WriteName, Rehearsed>>(
  planner: WritePlanner<Plans>,
): WritePlanner<Plans> {
  const planners = planner as unknown as Record<string, (...args: never[]) => Rehearsed>;
  const rehearsals = writes as unknown as Record<
    string,
    (...args: never[]) => Rehearsed["rehearse"]
  >;
  return Object.fromEntries(
    Object.entries(planners).map(([name, plan]) => [
      name,
      (...args: never[]) => ({ ...plan(...args), rehearse: rehearsals[name]?.(...args) }),
    ]),
  ) as unknown as WritePlanner<Plans>;
}

/**
 * Repeats a batch in memory, for a database that cannot say which write of it failed.
 *
 * @throws the error of the first write that fails.
 */
export function rehearse(
  bundles: readonly RunBundle[],
  demands: BatchDemands,
  batch: readonly Rehearsed[],
): void {
  const tables = new BaseTables();
  writeBundles(bundles, { onConflict: "fail", keepNewer: false })(tables);
  checkDemands(tables, demands);
  for (const { rehearse: repeat } of batch) repeat?.(tables);
}
