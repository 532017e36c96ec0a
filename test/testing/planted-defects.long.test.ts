import { startVitest } from "vitest/node";
import { beforeAll, expect, test } from "vitest";
import { defects } from "./planted/defects.ts";

/** The names of the tests of the suite that failed, by defect. */
let failures: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  const failed = new Map<string, string[]>();
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
      const names = failed.get(suite) ?? [];
      if (each.result().state === "failed") names.push(each.name);
      failed.set(suite, names);
    }
  }
  await vitest.close();
  // Vitest sets the exit code of this process for failures, which are expected here.
  process.exitCode = 0;
  failures = failed;
}, 600_000);

test("a store without a defect passes the suite", () => {
  expect(failures.get("without a defect > nothing")).toEqual([]);
});

test.each(Object.keys(defects))("the suite finds it when %s", (name) => {
  expect(failures.get(name)).not.toHaveLength(0);
});
