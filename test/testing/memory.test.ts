import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { describeWorkflowStore } from "../../src/testing/describe-workflow-store.ts";

describeWorkflowStore({
  name: "MemoryStore",
  open: async ({ clock }) => new MemoryStore({ clock }),
});
