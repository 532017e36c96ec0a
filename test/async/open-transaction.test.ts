import { afterEach, expect, test, vi } from "vitest";
import { busyTimeoutMs, whileOthersWait } from "../../src/async/open-transaction.ts";
import { StoreBusyError } from "../../src/errors.ts";

afterEach(() => void vi.useRealTimers());

test("a transaction that never ends keeps the process alive only until the calls behind it are rejected", async () => {
  vi.useFakeTimers();
  const timers = vi.spyOn(globalThis, "setInterval");
  const reject = vi.fn<(time: number, error: StoreBusyError) => void>();
  const enteredAt = performance.now() + busyTimeoutMs - 1;
  void whileOthersWait(() => new Promise(() => {}), reject);
  const timer = timers.mock.results[0]?.value as NodeJS.Timeout;
  await vi.advanceTimersByTimeAsync(1.9 * busyTimeoutMs);
  expect(timer.hasRef()).toBe(true);
  await vi.advanceTimersByTimeAsync(0.2 * busyTimeoutMs);
  expect(timer.hasRef()).toBe(false);
  const [time, error] = reject.mock.lastCall ?? [];
  expect(time).toBeGreaterThan(enteredAt);
  expect(error).toBeInstanceOf(StoreBusyError);
});

test("no timer is left when a transaction has ended", async () => {
  vi.useFakeTimers();
  const failure = new Error("no");
  expect(await whileOthersWait(async () => 1, vi.fn())).toBe(1);
  await expect(whileOthersWait(async () => Promise.reject(failure), vi.fn())).rejects.toBe(failure);
  expect(vi.getTimerCount()).toBe(0);
});
