import { describeWorkflowStore } from "../../../src/testing/describe-workflow-store.ts";
import { defectiveStore, defects } from "./defects.ts";

for (const [name, change] of Object.entries({ nothing: () => ({}), ...defects })) {
  describeWorkflowStore({ name, open: async ({ clock }) => defectiveStore(clock, change) });
}
