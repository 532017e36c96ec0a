import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Alarm } from "../../src/engine/worker/alarm.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const day = 86_400_000;

function makeAlarm() {
  const rings: number[] = [];
  const began = Date.now();
  const alarm = new Alarm(
    () => new Date(),
    () => rings.push(Date.now() - began),
  );
  return { rings, set: (ms: number) => alarm.set(new Date(began + ms)), alarm };
}

test("rings at each time that it was set to, in whatever order, once for the same one", () => {
  const { rings, set } = makeAlarm();
  for (const ms of [300, 100, 200, 100]) set(ms);
  vi.advanceTimersByTime(1000);
  expect(rings).toEqual([100, 200, 300]);
});

test("rings at once for a time that has passed", () => {
  const { rings, set } = makeAlarm();
  set(-50);
  set(70);
  vi.advanceTimersByTime(69);
  expect(rings).toEqual([0]);
  vi.advanceTimersByTime(1);
  expect(rings).toEqual([0, 70]);
});

test("is set to times that are further than a timer goes", () => {
  const { rings, set } = makeAlarm();
  set(60 * day);
  vi.advanceTimersByTime(60 * day - 1);
  expect(rings).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(rings).toEqual([60 * day]);
});

test("rings no more when it was cleared, and can be set again", () => {
  const { rings, set, alarm } = makeAlarm();
  set(100);
  alarm.clear();
  set(200);
  vi.advanceTimersByTime(1000);
  expect(rings).toEqual([200]);
});

test("keeps a bounded number of times: those beyond are left to polling", () => {
  const { rings, set } = makeAlarm();
  for (let ms = 1; ms <= 1500; ms++) set(ms);
  vi.advanceTimersByTime(2000);
  expect(rings).toHaveLength(1000);
});
