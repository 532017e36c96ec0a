import { describe, expect, test, vi } from "vitest";
import { uuidv7 } from "../src/uuid.ts";

const timeOf = (id: string) => Number.parseInt(id.slice(0, 13).replace("-", ""), 16);

describe("a new id", () => {
  test("is a UUID of version 7 that begins with the time", () => {
    const before = Date.now();
    const id = uuidv7();
    expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(timeOf(id)).toBeGreaterThanOrEqual(before);
    expect(timeOf(id)).toBeLessThanOrEqual(Date.now() + 1);
  });

  test("sorts after all earlier ones, within a millisecond and after the clock was set back", () => {
    vi.useFakeTimers({ now: Date.now() + 10 });
    try {
      const ids = Array.from({ length: 20_000 }, () => uuidv7());
      vi.setSystemTime(Date.now() - 3_600_000);
      ids.push(uuidv7(), uuidv7());
      expect(ids).toEqual(ids.toSorted());
      expect(new Set(ids).size).toBe(ids.length);
    } finally {
      vi.useRealTimers();
    }
  });
});
