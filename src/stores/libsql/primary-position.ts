import { kindOf } from "../../client/statement-kinds.ts";

/**
 * The highest replication index that this process has seen in an answer.
 *
 * Every answer over HTTP has the index of the last frame that it includes. A copy with this index or a higher one has
 * everything that was acknowledged or read here. A server that crashes may restart its log. Its index is lower then, or
 * the same after a write, and earlier indexes mean nothing.
 */
export class PrimaryPosition {
  #index = 0n;
  #restarts = 0;
  #highestBeforeRestart = 0n;
  #doubts = 0;
  #settledDoubts = 0;
  #isTold = false;

  get index(): bigint {
    return this.#index;
  }

  /** How often the log was restarted. */
  get restarts(): number {
    return this.#restarts;
  }

  /** The highest index of all earlier logs. An answer with a higher one is from the present log. */
  get highestBeforeRestart(): bigint {
    return this.#highestBeforeRestart;
  }

  /** The number of writes whose index is unknown: their answer had none, or was lost. */
  get doubts(): number {
    return this.#doubts;
  }

  /** True if `index` includes every write that was sent. */
  get isCertain(): boolean {
    return this.#settledDoubts === this.#doubts;
  }

  /** True if the last answer of the primary had an index. */
  get isTold(): boolean {
    return this.#isTold;
  }

  noteDoubt(): void {
    this.#doubts += 1;
  }

  noteAnswerWithoutIndex(): void {
    this.#isTold = false;
  }

  /**
   * Records an answer of the primary. `before` and `doubts` are the values when the request was sent. A write that has
   * changed rows raises the index, unless it is in a transaction. For one that has not, a restart is assumed: copies are
   * then used again when they exceed the index.
   */
  noteAnswer(index: bigint, before: bigint, doubts: number, hasChanged: boolean): void {
    this.#isTold = true;
    if (doubts > this.#settledDoubts) this.#settledDoubts = doubts;
    if (index < before || (hasChanged && index === before)) {
      this.#restarts += 1;
      if (this.#index > this.#highestBeforeRestart) this.#highestBeforeRestart = this.#index;
      this.#index = index;
    } else {
      this.noteCopy(index);
    }
  }

  /** Records an answer of a copy. The primary has at least its index. */
  noteCopy(index: bigint): void {
    if (index > this.#index) this.#index = index;
  }
}

/**
 * The request, which a copy answers only when it has reached `index`.
 *
 * Source: the libSQL extension of Hrana, in which a batch can demand a `replication_index`.
 */
export async function demandIndex(request: Request, index: bigint): Promise<Request> {
  const body: unknown = JSON.parse(await request.clone().text());
  for (const { batch } of (body as { requests: { batch?: Record<string, unknown> }[] }).requests) {
    if (batch !== undefined) batch["replication_index"] = String(index);
  }
  return new Request(request, { method: "POST", body: JSON.stringify(body) });
}

/** True if all statements of a request only read. */
export function isReadRequest(body: string): boolean {
  let onlyReads = true;
  JSON.parse(body, (key, value: unknown) => {
    if (key === "sql" && typeof value === "string" && !isRead(value)) onlyReads = false;
    return value;
  });
  return onlyReads;
}

function isRead(sql: string): boolean {
  const kind = kindOf(sql);
  return kind === "read" || kind === "control";
}

interface IndexedAnswer {
  /** Null if the answer has none. */
  readonly index: bigint | null;
  /** True if it counts rows that a write has changed, perhaps an earlier write of the connection. */
  readonly countsRows: boolean;
  /** The answer to use from here on. */
  readonly copy: Response;
}

/** Reads the index of an answer. */
export async function readIndex(response: Response): Promise<IndexedAnswer> {
  const text = await response.text();
  let index: bigint | null = null;
  // Quotes in the text of a cell are escaped, so this matches no cell.
  for (const [, digits = ""] of text.matchAll(/"replication_index":"(\d+)"/g)) {
    const found = BigInt(digits);
    if (index === null || found > index) index = found;
  }
  const { status, headers } = response;
  const countsRows = /"affected_row_count":[1-9]/.test(text);
  return { index, countsRows, copy: new Response(text, { status, headers }) };
}
