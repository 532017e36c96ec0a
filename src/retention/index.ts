export { applyRetention } from "./retention-policy.ts";
export type {
  RetentionOptions,
  RetentionPolicy,
  RetentionReport,
  RetentionRule,
} from "./retention-policy.ts";
export { scheduleRetention } from "./retention-schedule.ts";
export type { RetentionSchedule, RetentionScheduleOptions } from "./retention-schedule.ts";
