import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WakeTimer } from "../../src/engine/worker/wake-timer.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const day = 86_400_000;

function makeTimer() {
  const calls: number[] = [];
  const began = Date.now();
  const timer = new WakeTimer(
    () => new Date(),
    () => calls.push(Date.now() - began),
  );
  return { calls, add: (ms: number) => timer.add(new Date(began + ms)), timer };
}

test("wakes at each added time, in any order, once for equal times", () => {
  const { calls, add } = makeTimer();
  for (const ms of [300, 100, 200, 100]) add(ms);
  vi.advanceTimersByTime(1000);
  expect(calls).toEqual([100, 200, 300]);
});

test("wakes at once for a past time", () => {
  const { calls, add } = makeTimer();
  add(-50);
  add(70);
  vi.advanceTimersByTime(69);
  expect(calls).toEqual([0]);
  vi.advanceTimersByTime(1);
  expect(calls).toEqual([0, 70]);
});

test("accepts times beyond the longest delay of a timer", () => {
  const { calls, add } = makeTimer();
  add(60 * day);
  vi.advanceTimersByTime(60 * day - 1);
  expect(calls).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(calls).toEqual([60 * day]);
});

test("discards its times when it is cleared, and accepts new ones", () => {
  const { calls, add, timer } = makeTimer();
  add(100);
  timer.clear();
  add(200);
  vi.advanceTimersByTime(1000);
  expect(calls).toEqual([200]);
});

test("keeps at most 1000 times", () => {
  const { calls, add } = makeTimer();
  for (let ms = 1; ms <= 1500; ms++) add(ms);
  vi.advanceTimersByTime(2000);
  expect(calls).toHaveLength(1000);
});
