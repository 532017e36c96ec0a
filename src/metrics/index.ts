export { observeQueues } from "./observe-queues.ts";
export type { ObserveQueuesOptions } from "./observe-queues.ts";
