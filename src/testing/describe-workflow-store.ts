import { describe } from "vitest";
import { describeArguments } from "./conformance/arguments.ts";
import { describeAttempts } from "./conformance/attempts.ts";
import { describeBatches } from "./conformance/batches.ts";
import { describeBulkChanges } from "./conformance/bulk-changes.ts";
import { describeBundles } from "./conformance/bundles.ts";
import { storeTest, type ConformanceOptions } from "./conformance/environment.ts";
import { describeLeases } from "./conformance/leases.ts";
import { describeMaintenance } from "./conformance/maintenance.ts";
import { describeOutputs } from "./conformance/outputs.ts";
import { describePauses } from "./conformance/pauses.ts";
import { describeRunLists } from "./conformance/run-lists.ts";
import { describeRuns } from "./conformance/runs.ts";
import { describeState } from "./conformance/state.ts";
import { describeSteps } from "./conformance/steps.ts";
import { describeTransactions } from "./conformance/transactions.ts";
import { describeValues } from "./conformance/values.ts";

/**
 * Declares the tests that every `WorkflowStore` must pass. Call it in a test file for your store.
 *
 * Each test opens an empty store, which must take all times from the given clock.
 */
export function describeWorkflowStore(options: ConformanceOptions): void {
  const test = storeTest(options);
  describe(`${options.name} keeps the contract of a workflow store`, () => {
    describe("runs", () => describeRuns(test));
    describe("lists of runs", () => describeRunLists(test));
    describe("bulk changes", () => describeBulkChanges(test));
    describe("step executions", () => describeSteps(test));
    describe("step attempts", () => describeAttempts(test));
    describe("step outputs", () => describeOutputs(test));
    describe("state", () => describeState(test));
    describe("leases", () => describeLeases(test));
    describe("pauses", () => describePauses(test));
    describe("batches", () => describeBatches(test));
    describe("transactions", () => describeTransactions(test, options.capabilities ?? {}));
    describe("bundles", () => describeBundles(test));
    describe("maintenance", () => describeMaintenance(test));
    describe("values", () => describeValues(test, options.capabilities ?? {}));
    describe("arguments", () => describeArguments(test));
  });
}
