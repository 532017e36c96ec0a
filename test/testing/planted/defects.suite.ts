import { describe } from "vitest";
import { describeWorkflowStore } from "../../../src/testing/describe-workflow-store.ts";
import { defectiveStore, defects } from "./defects.ts";

// A short time limit ends the tests that hang because of a defect. The store without one may be slow under load.
describe("without a defect", { timeout: 60_000 }, () => {
  describeWorkflowStore({
    name: "nothing",
    open: async ({ clock }) => defectiveStore(clock, () => ({})),
  });
});

for (const [name, change] of Object.entries(defects)) {
  describeWorkflowStore({ name, open: async ({ clock }) => defectiveStore(clock, change) });
}
