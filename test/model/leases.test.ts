import { expect, test } from "vitest";
import { checkLease } from "../../src/model/leases.ts";

test("a RUNNING run without a lease is not held by its worker", () => {
  const run = { runId: "r", status: "RUNNING", workerId: "w", attempt: 1 } as const;
  const fence = { workerId: "w", attempt: 1 };
  expect(() => checkLease({ ...run, leaseExpiresAt: null }, fence)).toThrow(
    expect.objectContaining({ code: "LEASE_LOST" }) as Error,
  );
  checkLease({ ...run, leaseExpiresAt: new Date(0) }, fence);
});
