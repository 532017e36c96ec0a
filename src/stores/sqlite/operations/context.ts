import { ConstraintError } from "../../../errors.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Clock } from "../../../store/clock.ts";
import type { WriteName } from "../../checked-writes.ts";
import type { ResultOf } from "../../operations.ts";
import type { Rehearsed } from "../../rehearsal.ts";
import type { Connection, Reader, StatementResult } from "../connections/connection.ts";
import type { Statements } from "../statements/all.ts";
import type { BoundStatement } from "../statements/statement.ts";

/** The database of a store. */
export interface StoreContext {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly tables: WorkflowTables;
  readonly codecs: RowCodecs;
  readonly statements: Statements;
}

/** A write that changes nothing, and does not fail, if a precondition does not hold. */
export interface PlannedWrite<T> extends Rehearsed {
  /** Run before the write, under the same preconditions. */
  readonly before?: readonly BoundStatement[];
  readonly write: BoundStatement;
  /** Fails if a trigger left out the write, so that `before` is undone. */
  readonly after?: BoundStatement;
  /** The queries for the result of the write, or for the reason why it changed nothing. */
  inquire(): readonly BoundStatement[];
  /** Fails if the write did not take effect, which rolls back its batch. Defaults to the guard `changed`. */
  guard?(): BoundStatement;
  /** Finds the ids of runs that exist with the key of a new one. */
  findHolders?(): BoundStatement;
  /** As in `WriteOptions`. Defaults to false. */
  readonly repeatable?: boolean;
  /**
   * Returns the result of the operation.
   *
   * @throws the error of the precondition that does not hold.
   */
  conclude(changes: number, inquiry: readonly StatementResult[]): T;
  /** Adds to the result what further queries find. */
  complete?(result: T): Promise<T>;
}

export type PlannedWrites = { [Name in WriteName]: PlannedWrite<ResultOf<Name>> };

/** A write changed nothing although its preconditions hold, because a trigger that raises IGNORE left it out. */
export function leftOut({ table }: { readonly table: string }): ConstraintError {
  return new ConstraintError({ kind: "trigger", table });
}

/** The first row of a result. */
export function firstRow(result: StatementResult | undefined): readonly unknown[] | null {
  return result?.rows[0] ?? null;
}

/** The rows that a statement returns. */
export async function readRows(
  reader: Reader,
  statement: BoundStatement,
): Promise<StatementResult["rows"]> {
  const [result] = await reader.read([statement]);
  return result?.rows ?? [];
}
