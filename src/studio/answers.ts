import { readTimeout } from "./errors.ts";

const sharedMs = 1000;

/** Longer than the time that a query of a report may take, so that its own error is shown. */
export const longestReadMs = 90_000;

interface Answer {
  readonly text: Promise<string>;
  /** Until when other viewers get the answer; null until it is known. */
  until: number | null;
}

/** Shares the answers to equal requests for a second, so that many viewers of a page cost the store as much as one. */
export class SharedAnswers {
  readonly #answers = new Map<string, Answer>();

  /**
   * The answer to the request, computed by `answer` unless one is shared.
   *
   * @throws {RefusedRequestError} if the answer takes longer than `longestReadMs`. Later requests then read again.
   */
  get(request: string, answer: () => Promise<unknown>): Promise<string> {
    const now = Date.now();
    for (const [key, { until }] of this.#answers) {
      if (until !== null && until <= now) this.#answers.delete(key);
    }
    const shared = this.#answers.get(request);
    if (shared !== undefined) return shared.text;
    const text = withinTime(longestReadMs, answer()).then((value) => JSON.stringify(value));
    const created: Answer = { text, until: null };
    this.#answers.set(request, created);
    text.then(
      () => (created.until = Date.now() + sharedMs),
      () => (created.until = 0),
    );
    return text;
  }

  /** After a change, no older answer is shared. */
  forget(): void {
    this.#answers.clear();
  }
}

/** @throws {RefusedRequestError} if the read takes longer. */
export function withinTime<Value>(longestMs: number, read: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(readTimeout()), longestMs);
    read.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
