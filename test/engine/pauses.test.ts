import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WakeUp } from "../../src/engine/pauses.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

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
