CREATE TABLE `workflow_pauses` (
	`workflow_id` text PRIMARY KEY NOT NULL,
	`paused_at` integer NOT NULL,
	`reason` text
);
