import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { operationsEnded, untilAborted } from "../../src/async/abort.ts";

function deferred() {
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return {
    promise,
    resolve: () => settle?.resolve(),
    reject: (error: Error) => settle?.reject(error),
  };
}

test("an aborted operation is waited for until it has really ended", async () => {
  const abort = new AbortController();
  const { promise, resolve } = deferred();
  const outcome = untilAborted(abort.signal, promise);
  abort.abort(new Error("enough"));
  await expect(outcome).rejects.toThrow("enough");
  let ended = false;
  const waiting = operationsEnded(abort.signal).then(() => (ended = true));
  await new Promise((turn) => setTimeout(turn, 5));
  expect(ended).toBe(false);
  resolve();
  await waiting;
  await operationsEnded(new AbortController().signal);
});

test("an operation under a signal that is aborted already rejects, and is waited for", async () => {
  const { promise, reject } = deferred();
  const signal = AbortSignal.abort(new Error("before"));
  await expect(untilAborted(signal, promise)).rejects.toThrow("before");
  reject(new Error("its own"));
  await operationsEnded(signal);
});

test("operations that share a signal add one listener", async () => {
  const { signal } = new AbortController();
  const operations = Array.from({ length: 50 }, (_, n) => untilAborted(signal, Promise.resolve(n)));
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  expect(await Promise.all(operations)).toHaveLength(50);
});
