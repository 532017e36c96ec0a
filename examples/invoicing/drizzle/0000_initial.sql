CREATE TABLE `addresses` (
	`address_id` text PRIMARY KEY NOT NULL,
	`customer_id` text NOT NULL,
	`country_code` text(2) NOT NULL,
	FOREIGN KEY (`customer_id`) REFERENCES `customers`(`customer_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `customers` (
	`customer_id` text PRIMARY KEY NOT NULL,
	`full_name` text NOT NULL,
	`email_address` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `customers_emailAddress_unique` ON `customers` (`email_address`);--> statement-breakpoint
CREATE TABLE `invoice_lines` (
	`invoice_id` text NOT NULL,
	`line_number` integer NOT NULL,
	`product_id` text NOT NULL,
	`quantity` integer DEFAULT 1 NOT NULL,
	PRIMARY KEY(`invoice_id`, `line_number`),
	FOREIGN KEY (`invoice_id`) REFERENCES `invoices`(`invoice_id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`product_id`) REFERENCES `products`(`product_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `invoices` (
	`invoice_id` text PRIMARY KEY NOT NULL,
	`cents` integer NOT NULL,
	`run_id` text,
	`customer_id` text,
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE set null,
	FOREIGN KEY (`customer_id`) REFERENCES `customers`(`customer_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `ledger_entries` (
	`entry_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`payment_id` text NOT NULL,
	`account_name` text NOT NULL,
	`amount` integer NOT NULL,
	FOREIGN KEY (`payment_id`) REFERENCES `payments`(`payment_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `payments` (
	`payment_id` text PRIMARY KEY NOT NULL,
	`invoice_id` text NOT NULL,
	`amount` integer NOT NULL,
	`received_at` integer NOT NULL,
	FOREIGN KEY (`invoice_id`) REFERENCES `invoices`(`invoice_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `products` (
	`product_id` text PRIMARY KEY NOT NULL,
	`display_name` text NOT NULL,
	`unit_price` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `reminders` (
	`reminder_id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`invoice_id` text NOT NULL,
	`sent_to` text NOT NULL,
	FOREIGN KEY (`invoice_id`) REFERENCES `invoices`(`invoice_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
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
CREATE TABLE `step_executions` (
	`run_id` text NOT NULL,
	`step_id` text NOT NULL,
	`execution_index` integer DEFAULT 0 NOT NULL,
	`status` text DEFAULT 'PENDING' NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`attempt_offset` integer DEFAULT 0 NOT NULL,
	`sleep_count` integer DEFAULT 0 NOT NULL,
	`wake_at` integer,
	`input` text,
	`input_from` text,
	`error` text,
	`duration_ms` integer,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`completed_at` integer,
	`updated_at` integer NOT NULL,
	`workflow_id` text,
	PRIMARY KEY(`run_id`, `step_id`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade,
	CONSTRAINT "step_executions_duration_ms_check" CHECK(duration_ms >= 0)
);
--> statement-breakpoint
CREATE INDEX `step_executions_workflow_idx` ON `step_executions` (`workflow_id`,`step_id`,`completed_at`,`status`,`attempt`,`duration_ms`,`run_id`) WHERE completed_at is not null;--> statement-breakpoint
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
	`wake_at` integer,
	`deadline_at` integer,
	`timeout_ms` integer,
	`attempt` integer DEFAULT 0 NOT NULL,
	`lost_leases` integer DEFAULT 0 NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`state_revision` integer DEFAULT 0 NOT NULL,
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
CREATE INDEX `workflow_runs_lease_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`lease_expires_at`) WHERE lease_expires_at is not null;--> statement-breakpoint
CREATE INDEX `workflow_runs_ready_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';--> statement-breakpoint
CREATE INDEX `workflow_runs_wake_idx` ON `workflow_runs` (`wake_at`,`created_at`,`run_id`) WHERE wake_at is not null;--> statement-breakpoint
CREATE INDEX `workflow_runs_completed_at_idx` ON `workflow_runs` (`completed_at`,`workflow_id`,`status`,`started_at`) WHERE completed_at is not null;--> statement-breakpoint
CREATE TABLE `workflow_state` (
	`run_id` text NOT NULL,
	`key` text NOT NULL,
	`value` text NOT NULL,
	`revision` integer DEFAULT 1 NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`run_id`, `key`),
	FOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade
);
