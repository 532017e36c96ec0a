import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Backoff, pause, WakeUp } from "../../src/engine/pauses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a pause ends after its time, and not before", async () => {
  const ended = vi.fn();
  void pause(100).then(ended);
  await vi.advanceTimersByTimeAsync(99);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toHaveBeenCalled();
});

test("a pause ends when its signal aborts, and leaves no timer behind", async () => {
  const controller = new AbortController();
  const paused = pause(1000, controller.signal);
  controller.abort();
  await paused;
  await pause(1000, controller.signal);
  expect(vi.getTimerCount()).toBe(0);
});

test("a pause longer than a timer can be does not end at once", async () => {
  const ended = vi.fn();
  void pause(2 ** 40).then(ended);
  await vi.advanceTimersByTimeAsync(1000);
  expect(ended).not.toHaveBeenCalled();
});

test("a back-off doubles to its limit, each wait between a half and the whole of it", () => {
  const backoff = new Backoff(50, 400);
  for (const whole of [50, 100, 200, 400, 400]) {
    const ms = backoff.next();
    expect(ms).toBeGreaterThanOrEqual(whole / 2);
    expect(ms).toBeLessThanOrEqual(whole);
  }
  backoff.reset();
  expect(backoff.next()).toBeLessThanOrEqual(50);
});

test("a ring that nobody waited for is heard by the next who waits, once", async () => {
  const bell = new WakeUp();
  bell.ring();
  bell.ring();
  expect(await bell.wait(null)).toBe(true);
  const second = bell.wait(10);
  await vi.advanceTimersByTimeAsync(10);
  expect(await second).toBe(false);
});

test("a ring ends the wait at once", async () => {
  const bell = new WakeUp();
  const waiting = bell.wait(1000);
  bell.ring();
  expect(await waiting).toBe(true);
  expect(vi.getTimerCount()).toBe(0);
});
