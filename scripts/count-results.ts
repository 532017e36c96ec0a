// Adds up the results that vitest's JSON reporter wrote, and fails if a test file is missing in all of them.
import { readdirSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { z } from "zod";

const resultsSchema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(z.object({ name: z.string(), status: z.string(), message: z.string() })),
});

const files = process.argv.slice(2);
if (files.length === 0) throw new Error("usage: count-results RESULTS.json …");
const runs = files.map((file) => resultsSchema.parse(JSON.parse(readFileSync(file, "utf8"))));

const executed = new Set(
  runs.flatMap(({ testResults }) => testResults.map(({ name }) => relative("test", name))),
);
const missing = readdirSync("test", { recursive: true, encoding: "utf8" }).filter(
  (name) => name.endsWith(".test.ts") && !executed.has(name),
);
for (const name of missing) console.error(`test/${name} did not run`);

const sum = (count: (run: z.output<typeof resultsSchema>) => number) =>
  runs.map(count).reduce((total, each) => total + each, 0);
const passed = sum((run) => run.numPassedTests);
// A file that cannot be loaded, or whose set-up fails, has no failed tests in the results.
const failed =
  missing.length +
  sum(({ numFailedTests, testResults }) => {
    const broken = testResults.filter(
      ({ status, message }) => status === "failed" && message !== "",
    );
    return Math.max(numFailedTests, broken.length);
  });
const skipped = sum((run) => run.numPendingTests + run.numTodoTests);

if (skipped > 0) console.error(`${skipped} tests were skipped`);
console.log(`${passed} passed, ${failed} failed`);
if (skipped > 0 || failed > 0 || passed === 0) process.exitCode = 1;
