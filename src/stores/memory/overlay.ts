import { compareText } from "../../model/cursors.ts";
import { versionKey } from "../../model/leases.ts";
import type { Position } from "./sorted-index.ts";
import {
  positionOf,
  textOf,
  versionKeyOf,
  childTables,
  type ChildRows,
  type ChildTable,
  type ClaimScope,
  type RunRow,
  type ScanOrder,
  type Tables,
} from "./tables.ts";

/** What an overlay changes of one run. A null row is a deleted one. */
interface Change {
  run: RunRow | null | undefined;
  /** True when the parent's children of the run are gone: it was deleted, and perhaps made anew. */
  detached: boolean;
  readonly steps: Map<string, ChildRows["steps"] | null>;
  readonly attempts: Map<string, ChildRows["attempts"] | null>;
  readonly outputs: Map<string, ChildRows["outputs"] | null>;
  readonly state: Map<string, ChildRows["state"] | null>;
}

/**
 * Uncommitted changes over the rows of a parent: a batch, a transaction or a savepoint.
 *
 * The parent is untouched until `commit`, which applies all in one turn; forgetting the overlay undoes it.
 */
export class Overlay implements Tables {
  readonly #parent: Tables;
  readonly #changes = new Map<string, Change>();

  constructor(parent: Tables) {
    this.#parent = parent;
  }

  commit(): void {
    // All that goes before all that comes: a new run may have the idempotency key of one that is gone.
    for (const [runId, { detached }] of this.#changes) {
      if (detached) this.#parent.deleteRun(runId);
    }
    for (const [runId, change] of this.#changes) {
      if (change.run === null) continue;
      if (change.run !== undefined) this.#parent.putRun(change.run);
      for (const table of childTables) this.#commitChildren(table, runId, change);
    }
  }

  getRun(runId: string): RunRow | undefined {
    const changed = this.#changes.get(runId)?.run;
    return changed === undefined ? this.#parent.getRun(runId) : (changed ?? undefined);
  }

  putRun(run: RunRow): void {
    this.#change(textOf(run.runId)).run = run;
  }

  deleteRun(runId: string): void {
    const change = this.#change(runId);
    change.run = null;
    change.detached = true;
    for (const table of childTables) change[table].clear();
  }

  findByIdempotencyKey(workflowId: string, idempotencyKey: string): RunRow | undefined {
    for (const { run } of this.#changes.values()) {
      if (run?.workflowId === workflowId && run.idempotencyKey === idempotencyKey) return run;
    }
    const found = this.#parent.findByIdempotencyKey(workflowId, idempotencyKey);
    // Here it may be gone, or replaced by one without the key.
    return found !== undefined && this.#changes.get(textOf(found.runId))?.run === undefined
      ? found
      : undefined;
  }

  *scanRuns(order: ScanOrder, after: Position | null): Generator<RunRow> {
    const sign = order === "oldest first" ? 1 : -1;
    const compare = (a: Position, b: Position) =>
      sign * (a.createdAt - b.createdAt || compareText(a.runId, b.runId));
    const own = [...this.#changes.values()]
      .flatMap(({ run }) => run ?? [])
      .filter((run) => after === null || compare(positionOf(run), after) > 0)
      .toSorted((a, b) => compare(positionOf(a), positionOf(b)));
    for (const run of this.#parent.scanRuns(order, after)) {
      if (this.#changes.get(textOf(run.runId))?.run !== undefined) continue;
      for (
        let [next] = own;
        next !== undefined && compare(positionOf(next), positionOf(run)) < 0;
        [next] = own
      ) {
        own.shift();
        yield next;
      }
      yield run;
    }
    yield* own;
  }

  *scanClaimableRuns(scope: ClaimScope): Generator<RunRow> {
    // Those that are changed here may be the ones that the parent would have found first.
    const limit = scope.limit + this.#changes.size;
    for (const run of this.#parent.scanClaimableRuns({ ...scope, limit })) {
      if (this.#changes.get(textOf(run.runId))?.run === undefined) yield run;
    }
    const wanted = scope.workflows && new Set(scope.workflows.map(versionKey));
    for (const { run } of this.#changes.values()) {
      if (run && (wanted === undefined || wanted.has(versionKeyOf(run)))) yield run;
    }
  }

  getChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
  ): ChildRows[Table] | undefined {
    const change = this.#changes.get(runId);
    const changed = change && rowsOf(change, table).get(key);
    if (changed !== undefined) return changed ?? undefined;
    return change?.detached ? undefined : this.#parent.getChild(table, runId, key);
  }

  putChild<Table extends ChildTable>(
    table: Table,
    runId: string,
    key: string,
    row: ChildRows[Table],
  ): void {
    rowsOf(this.#change(runId), table).set(key, row);
  }

  deleteChild(table: ChildTable, runId: string, key: string): void {
    this.#change(runId)[table].set(key, null);
  }

  *children<Table extends ChildTable>(
    table: Table,
    runId: string,
  ): Generator<[string, ChildRows[Table]]> {
    const change = this.#changes.get(runId);
    const own = change && rowsOf(change, table);
    if (!change?.detached) {
      for (const entry of this.#parent.children(table, runId)) {
        if (!own?.has(entry[0])) yield entry;
      }
    }
    for (const [key, row] of own ?? []) {
      if (row !== null) yield [key, row];
    }
  }

  countChildren(table: ChildTable): number {
    let count = this.#parent.countChildren(table);
    for (const runId of this.#changes.keys()) {
      const before = [...this.#parent.children(table, runId)].length;
      const now = [...this.children(table, runId)].length;
      count += now - before;
    }
    return count;
  }

  #change(runId: string): Change {
    let change = this.#changes.get(runId);
    if (change === undefined) {
      change = {
        run: undefined,
        detached: false,
        steps: new Map(),
        attempts: new Map(),
        outputs: new Map(),
        state: new Map(),
      };
      this.#changes.set(runId, change);
    }
    return change;
  }

  #commitChildren<Table extends ChildTable>(table: Table, runId: string, change: Change): void {
    for (const [key, row] of rowsOf(change, table)) {
      if (row === null) this.#parent.deleteChild(table, runId, key);
      else this.#parent.putChild(table, runId, key, row);
    }
  }
}

function rowsOf<Table extends ChildTable>(
  change: Change,
  table: Table,
): Map<string, ChildRows[Table] | null> {
  const rows: { readonly [Name in ChildTable]: Map<string, ChildRows[Name] | null> } = change;
  return rows[table];
}
