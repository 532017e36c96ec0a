import { StoreClosedError } from "../../../errors.ts";
import type { RunQuery } from "../../../migrations/structure.ts";
import type { Gate } from "../operations/sqlite-operations.ts";

/** Lets operations start when the store is open and its database is checked. */
export class StoreGate implements Gate {
  /** Closed with the store. */
  owned: readonly { close(): void }[] = [];
  #open = true;
  #checked = false;
  #checking: Promise<void> | null = null;
  readonly #makeCheck: (query?: RunQuery) => Promise<void>;

  constructor(makeCheck: (query?: RunQuery) => Promise<void>) {
    this.#makeCheck = makeCheck;
  }

  checkOpen(): void {
    if (!this.#open) throw new StoreClosedError();
  }

  get ready(): Promise<void> | null {
    return this.#checked ? null : this.check();
  }

  get isChecked(): boolean {
    return this.#checked;
  }

  /** Checks the database. The next operation repeats a failed check, because the app may have migrated in the meantime. */
  check(transaction?: RunQuery): Promise<void> {
    if (transaction !== undefined) {
      // Not shared, because the transaction may end, or may wait for this check.
      return this.#makeCheck(transaction).then(() => this.skipCheck());
    }
    this.#checking ??= this.#makeCheck().then(
      () => this.skipCheck(),
      (error: unknown) => {
        this.#checking = null;
        throw error;
      },
    );
    return this.#checking;
  }

  skipCheck(): void {
    this.#checked = true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const each of this.owned) each.close();
  }
}

/** The gate of a store inside an app's transaction. */
export class HostGate implements Gate {
  readonly #gate: StoreGate;
  readonly #check: () => Promise<void> | null;
  #ready: Promise<void> | null | undefined;

  constructor(gate: StoreGate, check: () => Promise<void> | null) {
    this.#gate = gate;
    this.#check = check;
  }

  checkOpen(): void {
    this.#gate.checkOpen();
  }

  get ready(): Promise<void> | null {
    if (this.#ready === undefined) {
      this.#ready = this.#check();
      this.#ready?.then(
        () => (this.#ready = null),
        () => undefined,
      );
    }
    return this.#ready;
  }
}
