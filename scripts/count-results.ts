import { readdirSync, readFileSync } from "node:fs";
import { z } from "zod";

/** What vitest's JSON reporter says of a run. */
const resultsSchema = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(z.object({ name: z.string(), status: z.string(), message: z.string() })),
});

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: count-results RESULTS.json");
const results = resultsSchema.parse(JSON.parse(readFileSync(file, "utf8")));

const expected = readdirSync("test", { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".test.ts"),
).length;
const executed = results.testResults.length;
const brokenSuites = results.testResults.filter(
  ({ status, message }) => status === "failed" && message !== "",
).length;
const failed = Math.max(results.numFailedTests, brokenSuites) + (expected - executed);
const skipped = results.numPendingTests + results.numTodoTests;

if (executed !== expected) console.error(`${expected - executed} test file(s) did not run`);
console.log(
  `${results.numPassedTests} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
);
if (failed > 0 || results.numPassedTests === 0) process.exitCode = 1;
