import { afterEach, expect, test, vi } from "vitest";
import { dueTurn, pause } from "../../src/async/pause.ts";

afterEach(() => void vi.useRealTimers());

test("a loop of awaited calls lets timers fire when a turn is due", async () => {
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 1);
  for (const end = performance.now() + 10_000; ticks < 5 && performance.now() < end;) {
    await Promise.resolve();
    await dueTurn();
  }
  clearInterval(timer);
  expect(ticks).toBeGreaterThanOrEqual(5);
});

test("no turn is due under fake timers, whose clock would advance during it", () => {
  const elapsed = performance.now.bind(performance);
  vi.useFakeTimers();
  for (const end = elapsed() + 20; elapsed() < end;) expect(dueTurn()).toBeNull();
  vi.useRealTimers();
  expect(dueTurn()).not.toBeNull();
});

test("a pause ends after its time, and not before", async () => {
  vi.useFakeTimers();
  const ended = vi.fn();
  void pause(100).then(ended);
  await vi.advanceTimersByTimeAsync(99);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toHaveBeenCalled();
});

test("a pause ends when its signal aborts, and leaves no timer behind", async () => {
  vi.useFakeTimers();
  const controller = new AbortController();
  const paused = pause(1000, controller.signal);
  controller.abort();
  await paused;
  await pause(1000, controller.signal);
  expect(vi.getTimerCount()).toBe(0);
});

test("a pause longer than a timer can be does not end at once", async () => {
  vi.useFakeTimers();
  const ended = vi.fn();
  void pause(2 ** 40).then(ended);
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended).not.toHaveBeenCalled();
});
