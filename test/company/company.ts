import { isDeepStrictEqual } from "node:util";
import type { Client, Value } from "@libsql/client";
import { expect } from "vitest";
import { isLocalClient } from "../../src/client/local-client.ts";
import type { NewWorkflowRun } from "../../src/schema/rows.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { TestClock } from "../../src/testing/test-clock.ts";
import { attempt, type Memory, type Operation } from "../equivalence/operations.ts";
import type { Neighbour } from "./neighbour.ts";
import { openDrizzle, type OpenedDatabase, type Stores } from "./places.ts";

export interface OrderRow {
  runId: string | null;
  note: string | null;
}

/** A step of a sequence: an operation of the store, or what the app does beside it. */
export interface Action {
  readonly words: string;
  run(company: Company): Promise<void>;
}

export function check(holds: boolean, words: string): asserts holds {
  if (!holds) throw new Error(words);
}

/** One database with the store and the app in it, and the model of both. */
export class Company {
  readonly clock = new TestClock();
  readonly client: Client;
  readonly db: Stores["db"];
  readonly store: Stores["store"];
  /** Another store of the same app, on the same client. */
  readonly other: Stores["other"];
  readonly url: string | null;
  readonly neighbour: Neighbour | null;
  /** The store's half of the model. */
  readonly memory: MemoryStore;
  /** The app's half. */
  readonly orders = new Map<number, OrderRow>();
  readonly notes = new Map<number, string | null>();
  readonly pins = new Set<string>();
  /** The objects of the app that refuse some writes, by name. */
  readonly refusing = new Set<string>();
  /** The SQL texts that the store has sent, with their last arguments. */
  readonly texts = new Map<string, readonly Value[]>();
  #orderId = 0;
  #operations = 0;
  #cursors: [Memory, Memory] = [
    { cursor: null, prevCursor: null, bundleCursor: null },
    { cursor: null, prevCursor: null, bundleCursor: null },
  ];

  constructor(database: OpenedDatabase, neighbour: Neighbour | null) {
    this.client = database.client;
    this.url = database.url;
    this.neighbour = neighbour;
    recordTexts(this.client, this.texts);
    const stores = database.makeStores?.(this.clock.now) ?? this.#makeStores();
    this.db = stores.db;
    this.store = stores.store;
    this.other = stores.other;
    this.memory = new MemoryStore({ clock: this.clock.now });
  }

  #makeStores(): Stores {
    const db = openDrizzle(this.client);
    const [store, other] = [1, 2].map(() => new LibSQLStore(db, { clock: this.clock.now }));
    return { db, store: store!, other: other! };
  }

  nextOrder(): number {
    return (this.#orderId += 1);
  }

  async runIds(): Promise<string[]> {
    const { runs } = await this.memory.listRuns({ limit: 1000 });
    return runs.map(({ runId }) => runId);
  }

  async hasRun(runId: string): Promise<boolean> {
    return (await this.runIds()).includes(runId);
  }

  /**
   * Does the operation on the store and, unless a constraint of the app refused it, on the model; both must answer
   * alike.
   */
  async both(operation: Operation): Promise<void> {
    this.clock.advance(operation.advanceMs);
    await this.onModel(operation, await this.onStore(operation));
  }

  /** By one store or the other, in turns. */
  onStore(operation: Operation): Promise<unknown> {
    this.#operations += 1;
    const store = this.#operations % 2 === 0 ? this.store : this.other;
    return attempt(() => operation.run(store, this.#cursors[0]));
  }

  /** Does on the model what the store has done, unless the app refused it. */
  async onModel(operation: Operation, onStore: unknown): Promise<void> {
    if (this.isRefusal(onStore)) return;
    const onMemory = await attempt(() => operation.run(this.memory, this.#cursors[1]));
    same(onStore, onMemory, operation.words);
    await this.followDeletions(operation.words);
  }

  /** True for an error that says that the app refused the write; one without a reason fails the sequence. */
  isRefusal(outcome: unknown): boolean {
    if (codeOf(outcome) !== "CONSTRAINT") return false;
    check(
      this.refusing.size > 0 || this.pins.size > 0,
      `refused, though nothing refuses: ${JSON.stringify(outcome)}`,
    );
    const { kind } = (outcome as { error: { kind: unknown } }).error;
    check(this.refusing.size > 0 || kind === "foreignKey", "a pin refuses by its foreign key");
    return true;
  }

  /** The foreign keys of the app's tables act on the model. A run may have been deleted and created again. */
  async followDeletions(words: string): Promise<void> {
    const runIds = new Set(await this.runIds());
    const composite = /^(?:batch|transaction|app transaction)/.test(words);
    const wasRecreated = composite && /deleteRun|pruneRuns/.test(words);
    const present = wasRecreated ? await this.readOrders() : null;
    for (const [orderId, { runId }] of this.orders) {
      if (runId === null) continue;
      if (!runIds.has(runId) || (present !== null && !present.has(orderId))) {
        this.orders.delete(orderId);
      }
    }
    const presentNotes = wasRecreated ? await this.readNotes() : null;
    for (const [noteId, runId] of this.notes) {
      if (runId === null) continue;
      if (!runIds.has(runId) || presentNotes?.get(noteId) === null) this.notes.set(noteId, null);
    }
  }

  async readOrders(): Promise<Map<number, OrderRow>> {
    const { rows } = await this.client.execute("select order_id, run_id, note from orders");
    return new Map(
      rows.map((row) => [
        Number(row["order_id"]),
        { runId: row["run_id"] as string | null, note: row["note"] as string | null },
      ]),
    );
  }

  async readNotes(): Promise<Map<number, string | null>> {
    const { rows } = await this.client.execute("select note_id, run_id from notes");
    return new Map(rows.map((row) => [Number(row["note_id"]), row["run_id"] as string | null]));
  }

  /** Everything that is stored is what the model has, and the connection is as it was. */
  async compare(): Promise<void> {
    same(
      await this.store.readBundles({ limit: 1000 }),
      await this.memory.readBundles({ limit: 1000 }),
      "all bundles",
    );
    same(await this.store.listRuns(), await this.memory.listRuns(), "the list");
    same(sorted(await this.readOrders()), sorted(this.orders), "the app's orders");
    same(sorted(await this.readNotes()), sorted(this.notes), "the app's notes");
    const { rows } = await this.client.execute("pragma foreign_key_check");
    check(rows.length === 0, "foreign keys are violated");
    const keys = await this.client.execute("pragma foreign_keys");
    check(Number(keys.rows[0]?.[0]) === 1, "foreign keys are off");
  }
}

/** The run that an app's own SQL inserts, as the store has it. */
export function insertedRun(runId: string, at: Date): NewWorkflowRun & { runId: string } {
  return { runId, workflowId: "w1", input: { by: "sql" }, createdAt: at, updatedAt: at };
}

export function codeOf(outcome: unknown): unknown {
  return (outcome as { error?: { code?: unknown } }).error?.code;
}

function sorted(map: ReadonlyMap<number, unknown>): unknown[] {
  return [...map].toSorted(([a], [b]) => a - b);
}

function recordTexts(client: Client, texts: Map<string, readonly Value[]>): void {
  const note = (statements: readonly unknown[]) => {
    for (const statement of statements) {
      if (typeof statement !== "object" || statement === null) continue;
      const { sql, args } = statement as { sql: string; args?: unknown };
      if (Array.isArray(args) && texts.size < 200) texts.set(sql, args as Value[]);
    }
  };
  if (isLocalClient(client)) {
    const { read, write } = client;
    client.read = (statements) => (note(statements), read.call(client, statements));
    client.write = (statements) => (note(statements), write.call(client, statements));
    return;
  }
  const { batch } = client;
  client.batch = (statements, mode) => (note(statements), batch.call(client, statements, mode));
}

export function same(actual: unknown, expected: unknown, words: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  expect(actual, words).toStrictEqual(expected);
  throw new Error(`${words}: the answers differ in something that no assertion shows`);
}
