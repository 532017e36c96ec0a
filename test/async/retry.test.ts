import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Stopper } from "../../src/async/abort.ts";
import { Backoff, retry, retryFor } from "../../src/async/retry.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const always = () => true;

test("a backoff doubles to its limit, each wait between a half and the whole of it", () => {
  const backoff = new Backoff(50, 400);
  for (const whole of [50, 100, 200, 400, 400]) {
    const ms = backoff.next();
    expect(ms).toBeGreaterThanOrEqual(whole / 2);
    expect(ms).toBeLessThanOrEqual(whole);
  }
  backoff.reset();
  expect(backoff.next()).toBeLessThanOrEqual(50);
});

test("work is retried until it succeeds", async () => {
  let tries = 0;
  const result = retry(
    () => {
      tries += 1;
      if (tries < 3) throw new Error("busy");
      return "done";
    },
    retryFor(1000, always, new Backoff(10, 10)),
  );
  await vi.advanceTimersByTimeAsync(20);
  expect(await result).toBe("done");
  expect(tries).toBe(3);
});

test("the last try is made when the patience ends, and its error is thrown", async () => {
  const work = vi.fn(() => Promise.reject(new Error("busy")));
  const result = retry(work, retryFor(100, always, new Backoff(80, 80)));
  const failed = expect(result).rejects.toThrow("busy");
  await vi.advanceTimersByTimeAsync(99);
  const before = work.mock.calls.length;
  await vi.advanceTimersByTimeAsync(1);
  await failed;
  expect(work.mock.calls.length).toBe(before + 1);
});

test("an error that is not transient is thrown at once", async () => {
  const work = vi.fn(() => Promise.reject(new Error("no")));
  await expect(
    retry(
      work,
      retryFor(100, () => false, new Backoff(10, 10)),
    ),
  ).rejects.toThrow("no");
  expect(work).toHaveBeenCalledOnce();
});

test("a signal that aborts ends the wait with its reason", async () => {
  const stopper = new Stopper();
  const result = retry(
    () => Promise.reject(new Error("busy")),
    retryFor(1000, always, new Backoff(500, 500)),
    stopper,
  );
  const failed = expect(result).rejects.toThrow("stopped");
  await vi.advanceTimersByTimeAsync(1);
  stopper.abort(new Error("stopped"));
  await failed;
  expect(vi.getTimerCount()).toBe(0);
});
