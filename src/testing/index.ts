export type {
  ConformanceOptions,
  OpenedStore,
  StoreCapabilities,
} from "./conformance/environment.ts";
export { describeWorkflowStore } from "./describe-workflow-store.ts";
export { TestClock } from "./test-clock.ts";
