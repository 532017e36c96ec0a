import { validate, version } from "uuid";
import { expect, it, vi } from "vitest";
import { newId } from "../src/new-id.ts";

it("makes UUIDs of version 7", () => {
  for (const id of Array.from({ length: 1000 }, newId)) {
    expect(validate(id)).toBe(true);
    expect(version(id)).toBe(7);
  }
});

it("makes different ids in ascending order, several in a millisecond", () => {
  const ids = Array.from({ length: 100_000 }, newId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

it("keeps the order if the clock goes backwards", () => {
  const now = Date.now();
  const clock = vi.spyOn(Date, "now");
  try {
    const ids = [now + 5000, now + 4000, now + 4000, now + 6000].map((time) => {
      clock.mockReturnValue(time);
      return newId();
    });
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(4);
  } finally {
    clock.mockRestore();
  }
});

it("has the time of its making in milliseconds", () => {
  const clock = vi.spyOn(Date, "now").mockReturnValue(0x0fed_cba9_8765);
  try {
    expect(newId()).toMatch(/^0fedcba9-8765-7/);
  } finally {
    clock.mockRestore();
  }
});
