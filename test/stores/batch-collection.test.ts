import { expect, test } from "vitest";
import { collectWrites } from "../../src/stores/checked-writes.ts";

test.each([
  ["is not a function", undefined],
  ["is asynchronous", async () => {}],
])("a batch whose `collect` %s is rejected", (_, collect) => {
  expect(() => collectWrites(collect as () => void, {} as never)).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "collect" }) as Error,
  );
});
