import { afterEach, expect, test, vi } from "vitest";
import { reportFailure } from "../../src/cli/failures.ts";
import { RunNotFoundError, StoreFullError } from "../../src/errors.ts";

afterEach(() => vi.restoreAllMocks());

test.each([
  [new StoreFullError(), "STORE_FULL", "free some space; run it again"],
  [new RunNotFoundError({ runId: "r" }), "RUN_NOT_FOUND", "gorkflow runs list"],
])("%s has a remedy", (error, code, remedy) => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  expect(reportFailure(error, { json: true, goOn: "run it again" })).toBe(1);
  const printed = write.mock.calls.map(([text]) => String(text)).join("");
  expect(JSON.parse(printed)).toMatchObject({
    error: { code, remedy: expect.stringContaining(remedy) as string },
  });
});
