CREATE TABLE `workflow_runs` (
	`commit` text PRIMARY KEY NOT NULL,
	`run_id` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `build_step_attempts` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`attempt` integer NOT NULL,
	`status` text NOT NULL,
	`error` text,
	`worker_id` text,
	`started_at` integer,
	`completed_at` integer,
	PRIMARY KEY(`run_id`, `step_id`, `attempt`),
	FOREIGN KEY (`run_id`) REFERENCES `build_workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `build_step_executions` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`execution_index` integer DEFAULT 0 NOT NULL,
	`status` text DEFAULT 'PENDING' NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`attempt_offset` integer DEFAULT 0 NOT NULL,
	`sleep_count` integer DEFAULT 0 NOT NULL,
	`wake_at` integer,
	`input` text,
	`error` text,
	`duration_ms` integer,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `step_id`),
	FOREIGN KEY (`run_id`) REFERENCES `build_workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "build_step_executions_duration_ms_check" CHECK(duration_ms >= 0)
);
--> statement-breakpoint
CREATE INDEX `build_step_executions_completed_at_idx` ON `build_step_executions` (`completed_at`,`step_id`,`status`,`attempt`,`duration_ms`,`run_id`) WHERE completed_at is not null;--> statement-breakpoint
CREATE TABLE `build_step_outputs` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`output` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `step_id`),
	FOREIGN KEY (`run_id`) REFERENCES `build_workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `build_workflow_runs` (
	`run_id` text PRIMARY KEY NOT NULL,
	`workflow_id` text NOT NULL,
	`workflow_version` text DEFAULT '1' NOT NULL,
	`status` text DEFAULT 'PENDING' NOT NULL,
	`progress` real DEFAULT 0 NOT NULL,
	`input` text,
	`output` text,
	`error` text,
	`context` text,
	`tags` text,
	`resource_id` text,
	`idempotency_key` text,
	`worker_id` text,
	`lease_expires_at` integer,
	`wake_at` integer,
	`deadline_at` integer,
	`attempt` integer DEFAULT 0 NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`updated_at` integer NOT NULL,
	CONSTRAINT "build_workflow_runs_progress_check" CHECK(progress between 0 and 1)
);
--> statement-breakpoint
CREATE INDEX `build_workflow_runs_created_at_idx` ON `build_workflow_runs` (`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `build_workflow_runs_status_idx` ON `build_workflow_runs` (`status`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `build_workflow_runs_workflow_idx` ON `build_workflow_runs` (`workflow_id`,`status`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `build_workflow_runs_resource_idx` ON `build_workflow_runs` (`resource_id`,`created_at`,`run_id`) WHERE resource_id is not null;--> statement-breakpoint
CREATE UNIQUE INDEX `build_workflow_runs_idempotency_idx` ON `build_workflow_runs` (`workflow_id`,`idempotency_key`) WHERE idempotency_key is not null;--> statement-breakpoint
CREATE INDEX `build_workflow_runs_lease_idx` ON `build_workflow_runs` (`lease_expires_at`) WHERE lease_expires_at is not null;--> statement-breakpoint
CREATE INDEX `build_workflow_runs_ready_idx` ON `build_workflow_runs` (`workflow_id`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';--> statement-breakpoint
CREATE INDEX `build_workflow_runs_wake_idx` ON `build_workflow_runs` (`wake_at`,`created_at`,`run_id`) WHERE wake_at is not null;--> statement-breakpoint
CREATE INDEX `build_workflow_runs_completed_at_idx` ON `build_workflow_runs` (`completed_at`,`workflow_id`,`status`,`started_at`) WHERE completed_at is not null;--> statement-breakpoint
CREATE TABLE `build_workflow_state` (
	`run_id` text NOT NULL,
	`key` text NOT NULL,
	`value` text NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `key`),
	FOREIGN KEY (`run_id`) REFERENCES `build_workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
