import { startVitest } from "vitest/node";
import { beforeAll, expect, test } from "vitest";
import { defects } from "./planted/defects.ts";

/** The number of failed tests of the suite, by defect. */
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
    // Tests of large values take most of the time and find none of the defects.
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
  // Vitest sets the exit code of this process for failures, which are expected here.
  process.exitCode = 0;
  failures = counts;
}, 600_000);

test("a store without a defect passes the suite", () => {
  expect(failures.get("nothing")).toBe(0);
});

test.each(Object.keys(defects))("the suite finds it when %s", (name) => {
  expect(failures.get(name)).toBeGreaterThan(0);
});
