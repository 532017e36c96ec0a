CREATE TABLE `step_attempts` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`attempt` integer NOT NULL,
	`status` text NOT NULL,
	`error` text,
	`worker_id` text,
	`started_at` integer,
	`completed_at` integer,
	PRIMARY KEY(`run_id`, `step_id`, `attempt`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
ALTER TABLE `step_executions` ADD `attempt_offset` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `step_executions` ADD `sleep_count` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `step_executions` ADD `wake_at` integer;--> statement-breakpoint
ALTER TABLE `workflow_runs` ADD `wake_at` integer;--> statement-breakpoint
ALTER TABLE `workflow_runs` ADD `deadline_at` integer;--> statement-breakpoint
CREATE INDEX `workflow_runs_ready_idx` ON `workflow_runs` (`workflow_id`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';--> statement-breakpoint
CREATE INDEX `workflow_runs_wake_idx` ON `workflow_runs` (`wake_at`,`created_at`,`run_id`) WHERE wake_at is not null;