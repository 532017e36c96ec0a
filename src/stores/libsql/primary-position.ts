import { kindOf } from "../../client/statement-kinds.ts";

/**
 * How far this process knows the database to be: the highest replication index that an answer bore.
 *
 * Every answer over HTTP bears the index of the last frame that is in it. A copy that is at this index, or
 * further, has everything that was acknowledged or seen here. A server that crashes may begin its log anew: then
 * its index falls, and indexes of before say nothing any more.
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

  /** How often the log has begun anew. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Beyond this index an answer can only be from the log as it is now: no log of before came so far. */
  get highestBeforeRestart(): bigint {
    return this.#highestBeforeRestart;
  }

  /** How many writes were sent of which no index is known: their answer had none, or was lost. */
  get doubts(): number {
    return this.#doubts;
  }

  /** True when `index` covers every write that was sent. */
  get isCertain(): boolean {
    return this.#settledDoubts === this.#doubts;
  }

  /** True when the last answer of the primary said how far it is. */
  get isTold(): boolean {
    return this.#isTold;
  }

  noteDoubt(): void {
    this.#doubts += 1;
  }

  noteAnswerWithoutIndex(): void {
    this.#isTold = false;
  }

  /** The primary has answered. `before` and `doubts` are those of the time when it was asked. */
  noteAnswer(index: bigint, before: bigint, doubts: number): void {
    this.#isTold = true;
    if (doubts > this.#settledDoubts) this.#settledDoubts = doubts;
    if (index < before) {
      this.#restarts += 1;
      if (this.#index > this.#highestBeforeRestart) this.#highestBeforeRestart = this.#index;
      this.#index = index;
    } else {
      this.noteCopy(index);
    }
  }

  /** A copy has answered: the primary is at least as far. */
  noteCopy(index: bigint): void {
    if (index > this.#index) this.#index = index;
  }
}

/**
 * The request, to be answered by a copy only once it has come to `index`: it waits until then.
 *
 * Source: the libSQL extension of Hrana, where a batch may name the `replication_index` that it demands.
 */
export async function demandIndex(request: Request, index: bigint): Promise<Request> {
  const body: unknown = JSON.parse(await request.clone().text());
  for (const { batch } of (body as { requests: { batch?: Record<string, unknown> }[] }).requests) {
    if (batch !== undefined) batch["replication_index"] = String(index);
  }
  return new Request(request, { method: "POST", body: JSON.stringify(body) });
}

/** True when the statements of a request only read. */
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

/** The index that an answer bears, null when it bears none, and the answer to go on with. */
export async function readIndex(
  response: Response,
): Promise<{ readonly index: bigint | null; readonly copy: Response }> {
  const text = await response.text();
  let index: bigint | null = null;
  // In the text of a cell the quotes have backslashes before them.
  for (const [, digits = ""] of text.matchAll(/"replication_index":"(\d+)"/g)) {
    const found = BigInt(digits);
    if (index === null || found > index) index = found;
  }
  const { status, headers } = response;
  return { index, copy: new Response(text, { status, headers }) };
}
