import { expect, test } from "vitest";
import { completeNewRun } from "../../src/model/new-rows.ts";

test("the ids of new runs sort in the order of creation, also within a millisecond", () => {
  const now = new Date();
  const ids = Array.from({ length: 2000 }, () => completeNewRun({ workflowId: "w" }, now).runId);
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(ids.length);
});
