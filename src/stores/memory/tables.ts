import { isFinalRunStatus, isRunStatus } from "../../model/transitions.ts";
import type { EncodedRow } from "../../schema/row-codec.ts";
import type {
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowState,
} from "../../schema/rows.ts";
import { SortedIndex, type Position } from "./sorted-index.ts";

export type RunRow = EncodedRow<WorkflowRun>;

/** The child tables, by the name that they have in a bundle. */
export interface ChildRows {
  steps: EncodedRow<StepExecution>;
  attempts: EncodedRow<StepAttempt>;
  outputs: EncodedRow<StepOutput>;
  state: EncodedRow<WorkflowState>;
}

export type ChildTable = keyof ChildRows;
export const childTables = [
  "steps",
  "attempts",
  "outputs",
  "state",
] as const satisfies ChildTable[];

export type ScanOrder = "newest first" | "oldest first";

/**
 * The rows of a store, encoded as a database would hold them. Rows are never changed, only replaced: whoever
 * has one may keep it.
 */
export interface Tables {
  getRun(runId: string): RunRow | undefined;
  putRun(run: RunRow): void;
  /** The run's children go with it. */
  deleteRun(runId: string): void;
  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined;
  scanRuns(order: ScanOrder, after: Position | null): Iterable<RunRow>;
  /** PENDING and RUNNING runs, oldest first, without those that have a time to wake at. */
  scanUnfinishedRuns(): Iterable<RunRow>;
  /** PENDING and RUNNING runs that have a time to wake at, in no order. */
  scanWaitingRuns(): Iterable<RunRow>;
  getChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
  ): ChildRows[Table] | undefined;
  putChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
    row: ChildRows[Table],
  ): void;
  deleteChild(table: ChildTable, runId: string, key: string): void;
  /** By key, in no order. */
  children<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Iterable<[string, ChildRows[Table]]>;
  countChildren(table: ChildTable): number;
}

export function textOf(cell: RunRow["runId"]): string {
  return typeof cell === "string" ? cell : "";
}

export function positionOf(run: RunRow): Position {
  return { createdAt: Number(run.createdAt), runId: textOf(run.runId) };
}

export function isUnfinished(run: RunRow): boolean {
  return isRunStatus(run.status) && !isFinalRunStatus(run.status);
}

export function hasWakeTime(run: RunRow): boolean {
  return run.wakeAt !== null;
}

interface Entry extends Position {
  run: RunRow;
  /** Made when they are first needed: most of the cost of a run without children would be theirs. */
  steps: Map<string, ChildRows["steps"]> | null;
  attempts: Map<string, ChildRows["attempts"]> | null;
  outputs: Map<string, ChildRows["outputs"]> | null;
  state: Map<string, ChildRows["state"]> | null;
}

type ChildMaps = { [Name in ChildTable]: Map<string, ChildRows[Name]> | null };

/** The committed rows. */
export class BaseTables implements Tables {
  readonly #entries = new Map<string, Entry>();
  readonly #byTime = new SortedIndex<Entry>();
  readonly #unfinished = new SortedIndex<Entry>();
  readonly #waiting = new SortedIndex<Entry>();
  /** Run ids by workflow and idempotency key. */
  readonly #byKey = new Map<string, Map<string, string>>();

  getRun(runId: string): RunRow | undefined {
    return this.#entries.get(runId)?.run;
  }

  putRun(run: RunRow): void {
    const runId = textOf(run.runId);
    let entry = this.#entries.get(runId);
    if (entry === undefined) {
      entry = {
        ...positionOf(run),
        run,
        steps: null,
        attempts: null,
        outputs: null,
        state: null,
      };
      this.#entries.set(runId, entry);
      this.#byTime.add(entry);
      this.#queueOf(run)?.add(entry);
      this.#noteKey(run);
      return;
    }
    const before = this.#queueOf(entry.run);
    const after = this.#queueOf(run);
    entry.run = run;
    if (before === after) return;
    before?.remove(entry);
    after?.add(entry);
  }

  deleteRun(runId: string): void {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return;
    this.#entries.delete(runId);
    this.#byTime.remove(entry);
    this.#queueOf(entry.run)?.remove(entry);
    const { workflowId, idempotencyKey } = entry.run;
    if (idempotencyKey !== null) {
      this.#byKey.get(textOf(workflowId))?.delete(textOf(idempotencyKey));
    }
  }

  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined {
    const runId = this.#byKey.get(workflowId)?.get(idempotencyKey);
    return runId === undefined ? undefined : this.getRun(runId);
  }

  *scanRuns(order: ScanOrder, after: Position | null): Generator<RunRow> {
    for (const { run } of this.#byTime.scan(order, after)) yield run;
  }

  *scanUnfinishedRuns(): Generator<RunRow> {
    for (const { run } of this.#unfinished.scan("oldest first", null)) yield run;
  }

  *scanWaitingRuns(): Generator<RunRow> {
    for (const { run } of this.#waiting.scan("oldest first", null)) yield run;
  }

  getChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
  ): ChildRows[Table] | undefined {
    return this.#children(table, runId)?.get(key);
  }

  putChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
    row: ChildRows[Table],
  ): void {
    const entry: ChildMaps | undefined = this.#entries.get(runId);
    if (entry === undefined) return;
    entry[table] ??= new Map();
    entry[table].set(key, row);
  }

  deleteChild(table: ChildTable, runId: string, key: string): void {
    this.#children(table, runId)?.delete(key);
  }

  children<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Iterable<[string, ChildRows[Table]]> {
    return this.#children(table, runId) ?? [];
  }

  countChildren(table: ChildTable): number {
    let count = 0;
    for (const entry of this.#entries.values()) count += entry[table]?.size ?? 0;
    return count;
  }

  /** Where an unfinished run is looked for; null for a finished one. */
  #queueOf(run: RunRow): SortedIndex<Entry> | null {
    if (!isUnfinished(run)) return null;
    return hasWakeTime(run) ? this.#waiting : this.#unfinished;
  }

  #children<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Map<string, ChildRows[Table]> | null {
    const entry: ChildMaps | undefined = this.#entries.get(runId);
    return entry?.[table] ?? null;
  }

  #noteKey({ workflowId, idempotencyKey, runId }: RunRow): void {
    if (idempotencyKey === null) return;
    const workflow = textOf(workflowId);
    let keys = this.#byKey.get(workflow);
    if (keys === undefined) {
      keys = new Map();
      this.#byKey.set(workflow, keys);
    }
    keys.set(textOf(idempotencyKey), textOf(runId));
  }
}
