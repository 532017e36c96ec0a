DROP INDEX IF EXISTS `step_executions_completed_at_idx`;--> statement-breakpoint
ALTER TABLE `step_executions` ADD `workflow_id` text;--> statement-breakpoint
CREATE INDEX `step_executions_workflow_idx` ON `step_executions` (`workflow_id`,`step_id`,`completed_at`,`status`,`attempt`,`duration_ms`,`run_id`) WHERE completed_at is not null;