import { startVitest } from "vitest/node";
import { beforeAll, expect, test } from "vitest";
import { defects } from "./planted/defects.ts";

/** How many tests of the suite failed, by defect. */
let failures: ReadonlyMap<string, number>;

beforeAll(async () => {
  const counts = new Map<string, number>();
  const vitest = await startVitest("test", [], {
    config: false,
    root: import.meta.dirname,
    include: ["planted/defects.suite.ts"],
    watch: false,
    reporters: [{}],
    testTimeout: 2000,
    // The large values of these tests take most of the time, and none of the defects is found by them.
    testNamePattern: /^(?!.*\bbytes\b)/,
    fileParallelism: false,
  });
  for (const module of vitest.state.getTestModules()) {
    for (const each of module.children.allTests()) {
      const [suite = ""] = each.fullName.split(" keeps the contract");
      const failed = each.result().state === "failed" ? 1 : 0;
      counts.set(suite, (counts.get(suite) ?? 0) + failed);
    }
  }
  await vitest.close();
  // It sets the exit code of the process, and here failures are what is wanted.
  process.exitCode = 0;
  failures = counts;
}, 600_000);

test("the suite passes a store without a fault", () => {
  expect(failures.get("nothing")).toBe(0);
});

test.each(Object.keys(defects))("the suite finds it when %s", (name) => {
  expect(failures.get(name)).toBeGreaterThan(0);
});
