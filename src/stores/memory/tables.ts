import { comparePositions, type RunPosition } from "../../model/cursors.ts";
import { versionKey, type WorkflowVersion } from "../../model/leases.ts";
import { isFinalRunStatus } from "../../model/transitions.ts";
import type { EncodedRow } from "../../schema/row-codec.ts";
import type {
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowPause,
  WorkflowRun,
  WorkflowState,
} from "../../schema/rows.ts";
import { SortedIndex, type ScanOrder } from "./sorted-index.ts";

export type RunRow = EncodedRow<WorkflowRun>;
export type PauseRow = EncodedRow<WorkflowPause>;

/** The rows of the child tables, which are named like the parts of a bundle. */
export interface ChildRows {
  steps: EncodedRow<StepExecution>;
  attempts: EncodedRow<StepAttempt>;
  outputs: EncodedRow<StepOutput>;
  state: EncodedRow<WorkflowState>;
}

export type ChildTable = keyof ChildRows;
export const childTables = ["steps", "attempts", "outputs", "state"] as const;

/** Rows by key: those of one run in a child table, or the pauses. */
export interface Children<Row> extends Iterable<[string, Row]> {
  get(key: string): Row | undefined;
  set(key: string, row: Row): unknown;
  delete(key: string): unknown;
}

/**
 * The rows of a store, encoded as a database stores them. A row never changes. It is replaced, so callers may keep it.
 */
export interface Tables {
  getRun(runId: string): RunRow | undefined;
  putRun(run: RunRow): void;
  /** Also deletes the children of the run. */
  deleteRun(runId: string): void;
  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined;
  scanRuns(order: ScanOrder, after: RunPosition<number> | null): Iterable<RunRow>;
  /** The runs that a claim takes first, and perhaps other claimable runs, in any order. */
  scanClaimableRuns(scope: ClaimScope): Iterable<RunRow>;
  /** For reading. Iterates in any order. */
  children<Table extends ChildTable>(table: Table, runId: string): Children<ChildRows[Table]>;
  /** For changes. The run exists. */
  changeableChildren<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Children<ChildRows[Table]>;
  countChildren(table: ChildTable): number;
  /** By workflow. */
  readonly pauses: Children<PauseRow>;
}

/** The runs that a claim is for. */
export interface ClaimScope {
  /** Undefined for all runs. */
  readonly workflows: readonly WorkflowVersion[] | undefined;
  readonly isPaused: (workflowId: string) => boolean;
  /** In milliseconds. */
  readonly now: number;
  readonly limit: number;
}

/** A run in a queue of claims. */
interface ClaimPlace {
  readonly queue: ClaimQueue;
  /** The time from which the run can be claimed. */
  readonly at: number;
  readonly entry: Entry;
}

class ClaimQueue extends SortedIndex<ClaimPlace> {
  constructor() {
    super((a, b) => a.at - b.at || comparePositions(a.entry.run, b.entry.run));
  }
}

/** The columns that determine the queue of a run. */
const claimColumns = [
  "status",
  "wakeAt",
  "leaseExpiresAt",
  "workflowId",
  "workflowVersion",
] as const;

/** The runs of one version that can be claimed now or later. */
class ClaimQueues {
  readonly workflowId: string;
  /** PENDING without `wakeAt`. */
  readonly #ready = new ClaimQueue();
  /** PENDING with `wakeAt`. */
  readonly #waiting = new ClaimQueue();
  /** RUNNING with a lease. */
  readonly #leased = new ClaimQueue();

  constructor(workflowId: string) {
    this.workflowId = workflowId;
  }

  /** The place of the run; null if it cannot be claimed. */
  placeOf(entry: Entry): ClaimPlace | null {
    const { status, createdAt, wakeAt, leaseExpiresAt } = entry.run;
    if (status === "PENDING") {
      return wakeAt === null
        ? { queue: this.#ready, at: createdAt, entry }
        : { queue: this.#waiting, at: wakeAt, entry };
    }
    if (status !== "RUNNING" || leaseExpiresAt === null) return null;
    return { queue: this.#leased, at: leaseExpiresAt, entry };
  }

  *scan({ now, limit }: ClaimScope): Generator<RunRow> {
    // Leases are ordered by expiry, which is not the order of claims, so all expired ones are returned.
    for (const [queue, until, most] of [
      [this.#ready, Infinity, limit],
      [this.#waiting, now, limit],
      [this.#leased, now, Infinity],
    ] as const) {
      let count = 0;
      for (const { at, entry } of queue.scan("oldest first", null)) {
        if (at > until || count++ === most) break;
        yield entry.run;
      }
    }
  }
}

type ChildMaps = { [Table in ChildTable]: Map<string, ChildRows[Table]> | null };

/** A run and its children. The maps are made when they are first used, because most runs have few children. */
interface Entry extends RunPosition<number>, ChildMaps {
  run: RunRow;
  /** Null if the run cannot be claimed. */
  place: ClaimPlace | null;
}

const noChildren: Children<never> = new Map<string, never>();

/** The committed rows. */
export class BaseTables implements Tables {
  readonly #entries = new Map<string, Entry>();
  readonly #byTime = new SortedIndex<RunPosition<number>, Entry>(comparePositions);
  /** By workflow and version. */
  readonly #claimQueues = new Map<string, ClaimQueues>();
  /** Run ids by workflow and idempotency key. */
  readonly #byKey = new Map<string, Map<string, string>>();
  readonly pauses = new Map<string, PauseRow>();

  getRun(runId: string): RunRow | undefined {
    return this.#entries.get(runId)?.run;
  }

  putRun(run: RunRow): void {
    const { runId, createdAt, workflowId, idempotencyKey } = run;
    let entry = this.#entries.get(runId);
    const before = entry?.run;
    if (entry === undefined) {
      const children = { steps: null, attempts: null, outputs: null, state: null };
      entry = { runId, createdAt, run, place: null, ...children };
      this.#entries.set(runId, entry);
      this.#byTime.add(entry);
    }
    if (before?.idempotencyKey !== idempotencyKey) {
      if (before !== undefined) this.#removeKey(before);
      if (idempotencyKey !== null) {
        getOrMake(this.#byKey, workflowId, () => new Map()).set(idempotencyKey, runId);
      }
    }
    entry.run = run;
    if (before === undefined || claimColumns.some((name) => before[name] !== run[name])) {
      this.#queue(entry);
    }
  }

  deleteRun(runId: string): void {
    const entry = this.#entries.get(runId);
    if (entry === undefined) return;
    this.#entries.delete(runId);
    this.#byTime.remove(entry);
    entry.place?.queue.remove(entry.place);
    this.#removeKey(entry.run);
  }

  #removeKey({ runId, workflowId, idempotencyKey }: RunRow): void {
    if (idempotencyKey === null) return;
    const runIds = this.#byKey.get(workflowId);
    // A new run may have taken it.
    if (runIds?.get(idempotencyKey) === runId) runIds.delete(idempotencyKey);
  }

  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined {
    const runId = this.#byKey.get(workflowId)?.get(idempotencyKey);
    return runId === undefined ? undefined : this.getRun(runId);
  }

  *scanRuns(order: ScanOrder, after: RunPosition<number> | null): Generator<RunRow> {
    for (const { run } of this.#byTime.scan(order, after)) yield run;
  }

  *scanClaimableRuns(scope: ClaimScope): Generator<RunRow> {
    const queues =
      scope.workflows?.map((version) => this.#claimQueues.get(versionKey(version))) ??
      this.#claimQueues.values();
    for (const found of queues) {
      if (found !== undefined && !scope.isPaused(found.workflowId)) yield* found.scan(scope);
    }
  }

  children<Table extends ChildTable>(table: Table, runId: string): Children<ChildRows[Table]> {
    const entry: ChildMaps | undefined = this.#entries.get(runId);
    return entry?.[table] ?? noChildren;
  }

  changeableChildren<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Children<ChildRows[Table]> {
    const entry: ChildMaps | undefined = this.#entries.get(runId);
    if (entry === undefined) throw new TypeError("children need a run");
    return (entry[table] ??= new Map());
  }

  countChildren(table: ChildTable): number {
    let count = 0;
    for (const entry of this.#entries.values()) count += entry[table]?.size ?? 0;
    return count;
  }

  /** Moves the run to the queue in which claims find it. */
  #queue(entry: Entry): void {
    const { run, place: before } = entry;
    const after = isFinalRunStatus(run.status)
      ? null
      : getOrMake(
          this.#claimQueues,
          versionKey(run),
          () => new ClaimQueues(run.workflowId),
        ).placeOf(entry);
    if (before?.queue === after?.queue && before?.at === after?.at) return;
    before?.queue.remove(before);
    after?.queue.add(after);
    entry.place = after;
  }
}

function getOrMake<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
