DROP INDEX IF EXISTS `step_executions_workflow_idx`;--> statement-breakpoint
CREATE INDEX `step_executions_workflow_idx` ON `step_executions` (`workflow_id`,`step_id`,`completed_at`,`status`,`attempt`,`duration_ms`,`run_id`,`execution_index`) WHERE completed_at is not null;--> statement-breakpoint
DROP INDEX IF EXISTS `workflow_runs_workflow_idx`;--> statement-breakpoint
CREATE INDEX `workflow_runs_workflow_idx` ON `workflow_runs` (`workflow_id`,`status`,`created_at`,`run_id`,`started_at`,`completed_at`);