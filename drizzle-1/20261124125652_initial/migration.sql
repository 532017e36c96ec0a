CREATE TABLE `step_executions` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`execution_index` integer DEFAULT 0 NOT NULL,
	`status` text DEFAULT 'PENDING' NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`input` text,
	`error` text,
	`duration_ms` integer,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `step_id`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "step_executions_duration_ms_check" CHECK(duration_ms >= 0)
);
--> statement-breakpoint
CREATE TABLE `step_outputs` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`output` text NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `step_id`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `workflow_runs` (
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
	`attempt` integer DEFAULT 0 NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`updated_at` integer NOT NULL,
	CONSTRAINT "workflow_runs_progress_check" CHECK(progress between 0 and 1)
);
--> statement-breakpoint
CREATE INDEX `workflow_runs_created_at_idx` ON `workflow_runs` (`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `workflow_runs_status_idx` ON `workflow_runs` (`status`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `workflow_runs_workflow_idx` ON `workflow_runs` (`workflow_id`,`status`,`created_at`,`run_id`);--> statement-breakpoint
CREATE INDEX `workflow_runs_resource_idx` ON `workflow_runs` (`resource_id`,`created_at`,`run_id`) WHERE resource_id is not null;--> statement-breakpoint
CREATE UNIQUE INDEX `workflow_runs_idempotency_idx` ON `workflow_runs` (`workflow_id`,`idempotency_key`) WHERE idempotency_key is not null;--> statement-breakpoint
CREATE INDEX `workflow_runs_lease_idx` ON `workflow_runs` (`lease_expires_at`) WHERE lease_expires_at is not null;--> statement-breakpoint
CREATE INDEX `workflow_runs_completed_at_idx` ON `workflow_runs` (`completed_at`) WHERE completed_at is not null;--> statement-breakpoint
CREATE TABLE `workflow_state` (
	`run_id` text NOT NULL,
	`key` text NOT NULL,
	`value` text NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `key`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
