import { expect, test } from "vitest";
import { createBatchCollector } from "../../src/stores/checked-writes.ts";

test.each([
  ["is not a function", undefined],
  ["is asynchronous", async () => {}],
])("a batch whose `collect` %s is rejected", (_, collect) => {
  expect(() => createBatchCollector({} as never)(collect as () => void)).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "collect" }) as Error,
  );
});
