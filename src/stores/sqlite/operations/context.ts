import { ConstraintError } from "../../../errors.ts";
import type { RowCodecs } from "../../../schema/row-codecs.ts";
import type { WorkflowTables } from "../../../schema/tables.ts";
import type { Clock } from "../../../store/clock.ts";
import {
  sentTwiceError,
  type Connection,
  type Reader,
  type StatementResult,
} from "../connections/connection.ts";
import type { BoundStatement } from "../statements/statement.ts";
import type { Statements } from "../statements/all.ts";

/** What the operations of a store work with. */
export interface StoreContext {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly tables: WorkflowTables;
  readonly codecs: RowCodecs;
  readonly statements: Statements;
  /** Runs an operation when the store is open and ready, and the signal not aborted. */
  perform<T>(signal: AbortSignal | undefined, operation: () => Promise<T>): Promise<T>;
}

/** One write that changes nothing, rather than failing, when a precondition does not hold. */
export interface PlannedWrite<T> {
  /** What has to be noted just before the write, under the same preconditions. */
  readonly before?: BoundStatement;
  readonly write: BoundStatement;
  /** Reads what the write came to, or why it changed nothing. */
  inquire(): readonly BoundStatement[];
  /** Undoes a batch when the write did not take place. */
  guard(): BoundStatement;
  /** As `WriteOptions` has it. Absent for what must not happen twice. */
  readonly repeatable?: boolean;
  /** The operation's result. @throws the error of the precondition that did not hold. */
  conclude(changes: number, inquiry: readonly StatementResult[]): T;
}

/** Carries out one planned write by itself. */
export async function carryOut<T>(
  connection: Connection,
  plan: PlannedWrite<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { repeatable } = plan;
  let sendings = 1;
  const before = plan.before === undefined ? [] : [plan.before];
  const results = await connection.write([...before, plan.write, ...plan.inquire()], {
    repeatable,
    signal,
    onSentAgain: () => (sendings += 1),
  });
  const [written, ...inquiry] = results.slice(before.length);
  try {
    return plan.conclude(written?.changes ?? 0, inquiry);
  } catch (error) {
    throw sendings === 1 || repeatable ? error : sentTwiceError(error);
  }
}

/** A write that changed nothing although its preconditions hold: a trigger that raises IGNORE left it out. */
export function leftOut({ table }: { readonly table: string }): ConstraintError {
  return new ConstraintError({ kind: "trigger", table });
}

/** The first row of a result. */
export function firstRow(result: StatementResult | undefined): readonly unknown[] | null {
  return result?.rows[0] ?? null;
}

/** Runs one statement and gives its rows. */
export async function readRows(
  reader: Reader,
  statement: BoundStatement,
): Promise<StatementResult["rows"]> {
  const [result] = await reader.read([statement]);
  return result?.rows ?? [];
}
