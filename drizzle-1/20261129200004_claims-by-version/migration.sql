DROP INDEX IF EXISTS `workflow_runs_lease_idx`;--> statement-breakpoint
DROP INDEX IF EXISTS `workflow_runs_ready_idx`;--> statement-breakpoint
ALTER TABLE `workflow_runs` ADD `lost_leases` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `workflow_runs` ADD `state_revision` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `workflow_runs_lease_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`lease_expires_at`) WHERE lease_expires_at is not null;--> statement-breakpoint
CREATE INDEX `workflow_runs_ready_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';--> statement-breakpoint
ALTER TABLE `step_executions` ADD `input_from` text;