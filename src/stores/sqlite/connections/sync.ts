import { busyTimeoutMs, whileOthersWait } from "../../../async/open-transaction.ts";
import { dueTurn, nextTurn, pause } from "../../../async/pause.ts";
import { Backoff } from "../../../async/retry.ts";
import { kindOf } from "../../../client/statement-kinds.ts";
import type { Statement } from "../../../client/local-client.ts";
import { maxUnionTerms } from "../../../drivers/cloudflare.ts";
import { foreignKeysOff, type SyncDatabase } from "../../../drivers/sync-database.ts";
import { GorkflowError, StoreBusyError, StoreConnectionError } from "../../../errors.ts";
import type {
  Connection,
  Queries,
  SignalOptions,
  StatementResult,
  WriteOptions,
} from "./connection.ts";
import { checkSizes, nameLargest } from "./row-sizes.ts";
import { translateError } from "../errors/translate.ts";
import type { BoundStatement } from "../statements/statement.ts";
import { TransactionConnection, type StatementRunner } from "./transaction.ts";

type Results = readonly StatementResult[];

/** A statement of ours, or one that begins or ends a savepoint. */
type AnyStatement = Statement & Partial<BoundStatement>;

/** The limits of one commit. A larger one would block the event loop for too long. */
const maxStatementsPerCommit = 1000;
const maxMsPerCommit = 10;

const noResult: StatementResult = { rows: [], changes: 0 };

type Job = WriteJob | TransactionJob;

interface Waiting {
  readonly enteredAt: number;
  reject(error: unknown): void;
}

interface WriteJob extends Waiting {
  readonly kind: "write";
  readonly statements: readonly BoundStatement[];
  readonly signal: AbortSignal | undefined;
  /** True after a shared commit was undone. Alone, it fails only if it is the cause. */
  isAlone: boolean;
  resolve(results: Results): void;
}

interface TransactionJob extends Waiting {
  readonly kind: "transaction";
  /** Resolves when the transaction has ended, with its error if it has failed. Never rejects. */
  readonly run: () => Promise<unknown>;
}

/**
 * A connection on a synchronous SQLite library, whose one connection the app uses too.
 *
 * Statements run without an `await` between the begin and the end of their transaction, so those of the app never become
 * part of it. Nor do ours become part of the app's: they wait until its transaction has ended. Writes that wait are
 * committed together, in order, and one that fails is undone alone. The event loop runs between two commits, and while
 * another process has the lock.
 */
export class SyncConnection implements Connection {
  readonly maxUnionTerms: number | undefined;
  readonly #database: SyncDatabase;
  readonly #jobs: Job[] = [];
  #isDraining = false;

  constructor(database: SyncDatabase) {
    this.#database = database;
    if (database.isOnCloudflare === true) this.maxUnionTerms = maxUnionTerms;
  }

  read(statements: readonly BoundStatement[]): Promise<Results> {
    const [only] = statements;
    return this.#whenFree("read", () =>
      only !== undefined && statements.length === 1
        ? [this.#database.query(only) as StatementResult]
        : this.#database.transaction("read", () => this.#runAll(statements)),
    );
  }

  snapshot<T>(queries: () => Queries<T>): Promise<T> {
    return this.#whenFree("read", () =>
      this.#database.transaction("read", () => {
        const steps = queries();
        let step = steps.next();
        while (step.done !== true) step = steps.next(this.#runAll(step.value));
        return step.value;
      }),
    );
  }

  async write(
    statements: readonly BoundStatement[],
    { signal }: WriteOptions = {},
  ): Promise<Results> {
    if (this.#database.isOnCloudflare !== true) return this.#enterWrite(statements, signal);
    checkSizes(statements);
    return this.#enterWrite(statements, signal).catch(nameLargest(statements));
  }

  #enterWrite(
    statements: readonly BoundStatement[],
    signal: AbortSignal | undefined,
  ): Promise<Results> {
    return new Promise((resolve, reject) => {
      const enteredAt = performance.now();
      const isAlone = false;
      this.#enter({ kind: "write", statements, signal, enteredAt, isAlone, resolve, reject });
    });
  }

  writeGuarded: Connection["write"] = (statements, options) => this.write(statements, options);

  transaction<T>(work: (tx: Connection) => Promise<T>, { signal }: SignalOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const transact = async () => {
        signal?.throwIfAborted();
        return this.#transact(work, signal);
      };
      const enteredAt = performance.now();
      const run = () =>
        transact().then(resolve, (error: unknown) => {
          reject(error);
          return error;
        });
      this.#enter({ kind: "transaction", run, enteredAt, reject });
    });
  }

  async #transact<T>(
    work: (tx: Connection) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    // The call may be aborted while its commit waits.
    const repetition = new RepeatedTransaction(this.#database, (attempt) =>
      this.#whenFree("write", attempt, signal),
    );
    const connection = new TransactionConnection(repetition);
    try {
      const result = await work(connection);
      await connection.finish();
      await repetition.commit();
      return result;
    } finally {
      connection.end();
    }
  }

  #enter(job: Job): void {
    this.#jobs.push(job);
    if (!this.#isDraining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    for (;;) {
      // All writes of this turn of the event loop share a commit, and a transaction of the app has ended.
      await nextTurn();
      const [first] = this.#jobs;
      if (first === undefined) break;
      if (first.kind === "transaction") {
        this.#jobs.shift();
        const failure = await whileOthersWait(first.run, (time, error) =>
          this.#rejectWaiting(time, error),
        );
        if (failure instanceof StoreBusyError) this.#rejectExpired(busyError(false, failure));
        continue;
      }
      try {
        await this.#whenFree("write", () => this.#commit());
      } catch (error) {
        this.#jobs.shift()?.reject(error);
        this.#rejectExpired(error);
      }
    }
    this.#isDraining = false;
  }

  /** Rejects the jobs that have waited as long as one that has failed: each would wait as long again. */
  #rejectExpired(error: unknown): void {
    this.#rejectWaiting(performance.now() - busyTimeoutMs, error);
  }

  /** Rejects the jobs that entered before this time. They are the first ones. */
  #rejectWaiting(time: number, error: unknown): void {
    while (this.#jobs[0] !== undefined && this.#jobs[0].enteredAt < time) {
      this.#jobs.shift()?.reject(error);
    }
  }

  /** Commits the first writes together, and settles them. They stay in the queue if another process has the lock. */
  #commit(): void {
    const settle: (() => void)[] = [];
    const group: WriteJob[] = [];
    try {
      this.#database.transaction("write", () => {
        const startedAt = performance.now();
        let statements = 0;
        for (const job of this.#jobs) {
          if (job.kind === "transaction" || (job.isAlone && group.length > 0)) break;
          statements += job.statements.length;
          const isFull =
            statements > maxStatementsPerCommit || performance.now() - startedAt > maxMsPerCommit;
          if (group.length > 0 && isFull) break;
          group.push(job);
          settle.push(this.#runJob(job));
          if (job.isAlone) break;
        }
      });
    } catch (error) {
      const [only, ...others] = group;
      if (isBusy(error) || only === undefined) throw error;
      if (others.length > 0) for (const job of group) job.isAlone = true;
      else {
        this.#jobs.shift();
        only.reject(errorOf(only, error));
      }
      return;
    }
    this.#jobs.splice(0, group.length);
    for (const each of settle) each();
  }

  /** Runs a write of the open transaction. Returns the function that settles it after the commit. */
  #runJob(job: WriteJob): () => void {
    const run = () => {
      job.signal?.throwIfAborted();
      return this.#runAll(job.statements);
    };
    // Without a savepoint, a failure undoes the whole commit.
    const writes = job.statements.filter(({ unlessChanged }) => !unlessChanged);
    if (this.#jobs.length === 1 || job.isAlone || writes.length < 2) {
      const results = run();
      return () => job.resolve(results);
    }
    try {
      const results = this.#database.transaction("write", run);
      return () => job.resolve(results);
    } catch (error) {
      // A trigger that raises ROLLBACK has undone the writes before it too.
      if (!this.#database.inTransaction || isBusy(error)) throw error;
      return () => job.reject(errorOf(job, error));
    }
  }

  #runAll(statements: readonly BoundStatement[]): StatementResult[] {
    let before = noResult;
    return statements.map((statement) => {
      if (statement.unlessChanged) return before.changes > 0 ? noResult : this.#run(statement);
      return (before = this.#run(statement));
    });
  }

  #run(statement: AnyStatement): StatementResult {
    return this.#database.run(statement) as StatementResult;
  }

  /**
   * Runs `work` when no transaction of the app is open and no other process has the lock, and a write when foreign keys are
   * on: an app switches them off for its own migrations.
   */
  async #whenFree<T>(kind: "read" | "write", work: () => T, signal?: AbortSignal): Promise<T> {
    const turn = dueTurn();
    if (turn !== null) await turn;
    // A Durable Object cannot tell whether a transaction of the app is open. It has ended in the next microtask.
    else if (this.#database.isOnCloudflare === true) await Promise.resolve();
    let deadline: number | null = null;
    const backoff = new Backoff(1, 20);
    for (;;) {
      signal?.throwIfAborted();
      let refusal: GorkflowError;
      try {
        if (this.#database.inTransaction) refusal = busyError(true);
        else if (kind === "write" && !this.#database.checksForeignKeys) refusal = foreignKeysOff();
        else return work();
      } catch (error) {
        // A changed transaction is busy too, and would stay so.
        if (error instanceof GorkflowError || !isBusy(error)) throw translated(error);
        refusal = busyError(false, error);
      }
      deadline ??= performance.now() + busyTimeoutMs;
      if (performance.now() >= deadline) throw refusal;
      await pause(backoff.next());
    }
  }
}

function errorOf({ signal }: WriteJob, error: unknown): unknown {
  return signal?.aborted === true && error === signal.reason ? error : translated(error);
}

/** The outcome of a write is always known: its transaction is rolled back when it fails. */
const translated = (error: unknown) => translateError(error, "read");

function isBusy(error: unknown): boolean {
  return translated(error) instanceof StoreBusyError;
}

function busyError(isHeldByApp: boolean, cause?: unknown): StoreBusyError {
  return new StoreBusyError(
    isHeldByApp
      ? `a transaction of the app stayed open on the connection for ${busyTimeoutMs} ms: inside it, use \`statements\``
      : `the database was locked for ${busyTimeoutMs} ms by another process, or by a query that the app has not finished`,
    { cause },
  );
}

interface Executed {
  readonly statement: AnyStatement;
  readonly result: StatementResult;
  /** True if it changes nothing, so that only the last repetition needs it. */
  readonly isRead: boolean;
}

/**
 * A transaction whose work is asynchronous, on a connection that the app uses meanwhile.
 *
 * Each call begins a transaction, repeats the earlier statements, runs its own, and rolls back. The last one commits, if
 * all statements have the same results as before: then nothing that the transaction has read has changed since.
 */
class RepeatedTransaction implements StatementRunner {
  readonly #database: SyncDatabase;
  readonly #whenFree: <T>(attempt: () => T) => Promise<T>;
  readonly #executed: Executed[] = [];
  /** The number of statements before each savepoint. */
  readonly #savepoints = new Map<string, number>();
  #hasEnded = false;

  constructor(database: SyncDatabase, whenFree: <T>(attempt: () => T) => Promise<T>) {
    this.#database = database;
    this.#whenFree = whenFree;
  }

  async run(statements: readonly AnyStatement[]): Promise<Results> {
    this.#checkOpen();
    const [first] = statements;
    if (this.#database.isOnCloudflare === true && this.#isControl(first)) return [noResult];
    const outcome = await this.#whenFree(() =>
      this.#undone(() => {
        const count = this.#executed.length;
        this.#repeat(({ isRead }) => !isRead);
        try {
          return { results: this.#runAll(statements) };
        } catch (error) {
          if (isBusy(error)) {
            this.#executed.length = count;
            throw error;
          }
          // A trigger that raises ROLLBACK has ended the transaction.
          this.#hasEnded = !this.#database.inTransaction;
          return { error };
        }
      }),
    );
    if ("error" in outcome) throw outcome.error;
    return outcome.results;
  }

  /** Begins or ends a savepoint where the database has none. Returns false for other statements. */
  #isControl(statement: AnyStatement | undefined): boolean {
    const [, verb, name = ""] =
      /^(savepoint|rollback to|release) (\w+)$/.exec(statement?.sql ?? "") ?? [];
    if (verb === "savepoint") this.#savepoints.set(name, this.#executed.length);
    // These statements are not repeated.
    if (verb === "rollback to") this.#executed.length = this.#savepoints.get(name) ?? 0;
    return verb !== undefined;
  }

  async commit(): Promise<void> {
    this.#checkOpen();
    return this.#whenFree(() =>
      this.#database.transaction("write", () => this.#repeat(() => true)),
    );
  }

  #repeat(isNeeded: (executed: Executed) => boolean): void {
    for (const executed of this.#executed) {
      if (!isNeeded(executed)) continue;
      const result = this.#database.run(executed.statement) as StatementResult;
      if (!isSameResult(result, executed.result)) throw changedError();
    }
  }

  #runAll(statements: readonly AnyStatement[]): StatementResult[] {
    let before = noResult;
    return statements.map((statement) => {
      if (statement.unlessChanged === true && before.changes > 0) return noResult;
      const result = this.#database.run(statement) as StatementResult;
      // A query of changes() depends on the statement before it.
      const isRead = kindOf(statement.sql) === "read";
      this.#executed.push({ statement, result, isRead });
      if (statement.unlessChanged !== true) before = result;
      return result;
    });
  }

  /** The value of `work`, whose writes are rolled back. */
  #undone<T>(work: () => T): T {
    let done: { readonly value: T } | null = null;
    try {
      this.#database.transaction("write", () => {
        done = { value: work() };
        throw new RollbackSignal();
      });
    } catch (error) {
      if (!(error instanceof RollbackSignal)) throw error;
    }
    return (done as { readonly value: T } | null)!.value;
  }

  #checkOpen(): void {
    if (!this.#hasEnded) return;
    throw new StoreConnectionError({
      reason: "the transaction is over: a trigger has rolled it back",
      retryable: true,
    });
  }
}

class RollbackSignal extends Error {}

function isSameResult(one: StatementResult, other: StatementResult): boolean {
  return (
    one.changes === other.changes &&
    one.rows.length === other.rows.length &&
    one.rows.every((row, index) => {
      const cells = other.rows[index];
      return row.every((cell, place) => isSameCell(cell, cells?.[place]));
    })
  );
}

function isSameCell(one: unknown, other: unknown): boolean {
  if (!(one instanceof Uint8Array) || !(other instanceof Uint8Array)) return Object.is(one, other);
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function changedError(): StoreBusyError {
  return new StoreBusyError(
    "the app or another process changed what the transaction has read: nothing was written",
  );
}
