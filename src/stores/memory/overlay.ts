import { comparePositions, type RunPosition } from "../../model/cursors.ts";
import { versionKey } from "../../model/leases.ts";
import type { ScanOrder } from "./sorted-index.ts";
import {
  childTables,
  type ChildRows,
  type Children,
  type ChildTable,
  type ClaimScope,
  type PauseRow,
  type RunRow,
  type Tables,
} from "./tables.ts";

type ChangedChildren = { readonly [Table in ChildTable]: ChildOverlay<ChildRows[Table]> };

/** The changes of one run. */
interface Change extends ChangedChildren {
  /** Null if it was deleted. */
  run: RunRow | null | undefined;
  /** True if the parent's run was deleted, with its children. It may have been created again. */
  detached: boolean;
}

const noRows: Children<never> = new Map<string, never>();

/**
 * Uncommitted changes of the rows of a parent: a batch, a transaction or a savepoint. The parent is unchanged until
 * `commit`, which applies all changes at once.
 */
export class Overlay implements Tables {
  readonly #parent: Tables;
  readonly #changes = new Map<string, Change>();
  readonly pauses: ChildOverlay<PauseRow>;

  constructor(parent: Tables) {
    this.#parent = parent;
    this.pauses = new ChildOverlay(parent.pauses);
  }

  commit(): void {
    // Deletions come first, because a new run may have the idempotency key of a deleted one.
    for (const [runId, { detached }] of this.#changes) {
      if (detached) this.#parent.deleteRun(runId);
    }
    for (const [runId, change] of this.#changes) {
      if (change.run === null) continue;
      if (change.run !== undefined) this.#parent.putRun(change.run);
      for (const table of childTables) this.#commitChildren(table, runId, change);
    }
    this.pauses.commit(this.#parent.pauses);
  }

  getRun(runId: string): RunRow | undefined {
    const changed = this.#changes.get(runId)?.run;
    return changed === undefined ? this.#parent.getRun(runId) : (changed ?? undefined);
  }

  putRun(run: RunRow): void {
    this.#change(run.runId).run = run;
  }

  deleteRun(runId: string): void {
    this.#changes.set(runId, { run: null, detached: true, ...overlaysOf(() => noRows) });
  }

  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined {
    for (const { run } of this.#changes.values()) {
      if (run?.workflowId === workflowId && run.idempotencyKey === idempotencyKey) return run;
    }
    const found = this.#parent.findByIdempotencyKey(workflowId, idempotencyKey);
    // The run may be deleted here, or replaced by a run without the key.
    return found !== undefined && !this.#isChanged(found) ? found : undefined;
  }

  *scanRuns(order: ScanOrder, after: RunPosition<number> | null): Generator<RunRow> {
    const sign = order === "oldest first" ? 1 : -1;
    const compare = (a: RunPosition, b: RunPosition) => sign * comparePositions(a, b);
    const own = [...this.#changes.values()]
      .flatMap(({ run }) => run ?? [])
      .filter((run) => after === null || compare(run, after) > 0)
      .toSorted(compare);
    for (const run of this.#parent.scanRuns(order, after)) {
      if (this.#isChanged(run)) continue;
      for (let [next] = own; next !== undefined && compare(next, run) < 0; [next] = own) {
        own.shift();
        yield next;
      }
      yield run;
    }
    yield* own;
  }

  *scanClaimableRuns(scope: ClaimScope): Generator<RunRow> {
    // The parent's first runs may be among those that are changed here.
    const limit = scope.limit + this.#changes.size;
    for (const run of this.#parent.scanClaimableRuns({ ...scope, limit })) {
      if (!this.#isChanged(run)) yield run;
    }
    const wanted = scope.workflows && new Set(scope.workflows.map(versionKey));
    for (const { run } of this.#changes.values()) {
      if (!run || scope.isPaused(run.workflowId)) continue;
      if (wanted === undefined || wanted.has(versionKey(run))) yield run;
    }
  }

  children<Table extends ChildTable>(table: Table, runId: string): Children<ChildRows[Table]> {
    const change: ChangedChildren | undefined = this.#changes.get(runId);
    return change?.[table] ?? this.#parent.children(table, runId);
  }

  changeableChildren<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Children<ChildRows[Table]> {
    const change: ChangedChildren = this.#change(runId);
    return change[table];
  }

  countChildren(table: ChildTable): number {
    let count = this.#parent.countChildren(table);
    for (const runId of this.#changes.keys()) {
      count -= [...this.#parent.children(table, runId)].length;
      count += [...this.children(table, runId)].length;
    }
    return count;
  }

  #isChanged({ runId }: RunRow): boolean {
    return this.#changes.get(runId)?.run !== undefined;
  }

  #change(runId: string): Change {
    let change = this.#changes.get(runId);
    if (change === undefined) {
      const children = overlaysOf((table) => this.#parent.children(table, runId));
      change = { run: undefined, detached: false, ...children };
      this.#changes.set(runId, change);
    }
    return change;
  }

  #commitChildren<Table extends ChildTable>(
    table: Table,
    runId: string,
    change: ChangedChildren,
  ): void {
    const changed = change[table];
    if (!changed.isEmpty) changed.commit(this.#parent.changeableChildren(table, runId));
  }
}

function overlaysOf(
  parentOf: <Table extends ChildTable>(table: Table) => Children<ChildRows[Table]>,
): ChangedChildren {
  return {
    steps: new ChildOverlay(parentOf("steps")),
    attempts: new ChildOverlay(parentOf("attempts")),
    outputs: new ChildOverlay(parentOf("outputs")),
    state: new ChildOverlay(parentOf("state")),
  };
}

/** Uncommitted changes of the children of one run, or of the pauses. */
class ChildOverlay<Row> implements Children<Row> {
  readonly #parent: Children<Row>;
  /** Null for a deleted row. */
  readonly #changed = new Map<string, Row | null>();

  constructor(parent: Children<Row>) {
    this.#parent = parent;
  }

  get isEmpty(): boolean {
    return this.#changed.size === 0;
  }

  get(key: string): Row | undefined {
    const changed = this.#changed.get(key);
    return changed === undefined ? this.#parent.get(key) : (changed ?? undefined);
  }

  set(key: string, row: Row): void {
    this.#changed.set(key, row);
  }

  delete(key: string): void {
    this.#changed.set(key, null);
  }

  *[Symbol.iterator](): Iterator<[string, Row]> {
    for (const entry of this.#parent) if (!this.#changed.has(entry[0])) yield entry;
    for (const [key, row] of this.#changed) if (row !== null) yield [key, row];
  }

  commit(target: Children<Row>): void {
    for (const [key, row] of this.#changed) {
      if (row === null) target.delete(key);
      else target.set(key, row);
    }
  }
}
