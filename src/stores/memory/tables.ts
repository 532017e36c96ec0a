import { versionKey, type WorkflowVersion } from "../../model/leases.ts";
import { isFinalRunStatus, isRunStatus } from "../../model/transitions.ts";
import type { EncodedRow } from "../../schema/row-codec.ts";
import type {
  StepAttempt,
  StepExecution,
  StepOutput,
  WorkflowRun,
  WorkflowState,
} from "../../schema/rows.ts";
import { comparePlaces, SortedIndex, type Position } from "./sorted-index.ts";

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
  /** The runs that a claim takes first, and perhaps others that are claimable, in no order. */
  scanClaimableRuns(scope: ClaimScope): Iterable<RunRow>;
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

export function versionKeyOf({ workflowId, workflowVersion }: RunRow): string {
  return versionKey({ workflowId: textOf(workflowId), workflowVersion: textOf(workflowVersion) });
}

/** Which runs a claim is about. */
export interface ClaimScope {
  /** Any run if undefined. */
  readonly workflows: readonly WorkflowVersion[] | undefined;
  readonly now: number;
  readonly limit: number;
}

/** The place of a run among those of its version that wait for the same thing. */
interface ClaimPlace extends Position {
  readonly queue: SortedIndex<ClaimPlace>;
  /** When it can be claimed. */
  readonly at: number;
  readonly entry: Entry;
}

const compareClaimPlaces = (a: ClaimPlace, b: ClaimPlace): number =>
  a.at - b.at || comparePlaces(a, b);

/** What decides where claims look for a run. */
const claimColumns = [
  "status",
  "wakeAt",
  "leaseExpiresAt",
  "workflowId",
  "workflowVersion",
] as const;

/** The runs of a version that a claim could take, now or later. */
class ClaimQueues {
  /** PENDING without a time to wake at. */
  readonly ready = new SortedIndex(compareClaimPlaces);
  /** PENDING until a time. */
  readonly waiting = new SortedIndex(compareClaimPlaces);
  /** RUNNING under a lease. */
  readonly leased = new SortedIndex(compareClaimPlaces);

  /** Where a run is to be found; null for one that no claim will ever take as it is. */
  placeOf(entry: Entry): ClaimPlace | null {
    const { createdAt, runId, run } = entry;
    const { status, wakeAt, leaseExpiresAt } = run;
    const place = (queue: SortedIndex<ClaimPlace>, at: number): ClaimPlace => {
      return { queue, at, createdAt, runId, entry };
    };
    if (status === "PENDING") {
      return wakeAt === null ? place(this.ready, createdAt) : place(this.waiting, Number(wakeAt));
    }
    if (status !== "RUNNING" || leaseExpiresAt === null) return null;
    return place(this.leased, Number(leaseExpiresAt));
  }

  *scan({ now, limit }: ClaimScope): Generator<RunRow> {
    // Leases are in the order in which they expire, and claims in that of their runs: all of them are looked at.
    for (const [queue, until, most] of [
      [this.ready, Infinity, limit],
      [this.waiting, now, limit],
      [this.leased, now, Infinity],
    ] as const) {
      let count = 0;
      for (const { at, entry } of queue.scan("oldest first", null)) {
        if (at > until || count++ === most) break;
        yield entry.run;
      }
    }
  }
}

interface Entry extends Position {
  run: RunRow;
  /** Where claims find it; null if they do not. */
  place: ClaimPlace | null;
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
  readonly #byTime = new SortedIndex<Position, Entry>(comparePlaces);
  /** By workflow and version. */
  readonly #claimQueues = new Map<string, ClaimQueues>();
  /** Run ids by workflow and idempotency key. */
  readonly #byKey = new Map<string, Map<string, string>>();

  getRun(runId: string): RunRow | undefined {
    return this.#entries.get(runId)?.run;
  }

  putRun(run: RunRow): void {
    const runId = textOf(run.runId);
    let entry = this.#entries.get(runId);
    const before = entry?.run;
    if (entry === undefined) {
      entry = {
        ...positionOf(run),
        run,
        place: null,
        steps: null,
        attempts: null,
        outputs: null,
        state: null,
      };
      this.#entries.set(runId, entry);
      this.#byTime.add(entry);
      this.#noteKey(run);
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

  *scanClaimableRuns(scope: ClaimScope): Generator<RunRow> {
    const queues =
      scope.workflows === undefined
        ? this.#claimQueues.values()
        : scope.workflows.map((version) => this.#claimQueues.get(versionKey(version)));
    for (const found of queues) if (found !== undefined) yield* found.scan(scope);
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

  /** Puts the run where claims look for it. */
  #queue(entry: Entry): void {
    const { place: before } = entry;
    const after = this.#queuesOf(entry.run)?.placeOf(entry) ?? null;
    if (before?.queue === after?.queue && before?.at === after?.at) return;
    before?.queue.remove(before);
    after?.queue.add(after);
    entry.place = after;
  }

  /** Null for a finished run. */
  #queuesOf(run: RunRow): ClaimQueues | null {
    if (!isRunStatus(run.status) || isFinalRunStatus(run.status)) return null;
    const key = versionKeyOf(run);
    let queues = this.#claimQueues.get(key);
    if (queues === undefined) {
      queues = new ClaimQueues();
      this.#claimQueues.set(key, queues);
    }
    return queues;
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
