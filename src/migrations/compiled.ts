// Written by `npm run db:generate` from the files in drizzle/. Not to be edited.

/** One migration of drizzle-kit. `hash` is the SHA-256 of its file, as Drizzle's own migrator computes it. */
export interface CompiledMigration {
  readonly tag: string;
  readonly when: number;
  readonly hash: string;
  readonly statements: readonly string[];
}

export const compiledMigrations: readonly CompiledMigration[] = [
  {
    "tag": "0000_initial",
    "when": 1795525012000,
    "hash": "267a33e96f07102fdbb61143cbfdb34b9534ca584b4a08e67e13cb0cd181a850",
    "statements": [
      "CREATE TABLE `step_executions` (\n\t`run_id` text NOT NULL,\n\t`step_id` text NOT NULL,\n\t`execution_index` integer DEFAULT 0 NOT NULL,\n\t`status` text DEFAULT 'PENDING' NOT NULL,\n\t`attempt` integer DEFAULT 0 NOT NULL,\n\t`input` text,\n\t`error` text,\n\t`duration_ms` integer,\n\t`created_at` integer NOT NULL,\n\t`started_at` integer,\n\t`completed_at` integer,\n\t`updated_at` integer NOT NULL,\n\tPRIMARY KEY(`run_id`, `step_id`),\n\tFOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade,\n\tCONSTRAINT \"step_executions_duration_ms_check\" CHECK(duration_ms >= 0)\n);",
      "CREATE TABLE `step_outputs` (\n\t`run_id` text NOT NULL,\n\t`step_id` text NOT NULL,\n\t`output` text NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`updated_at` integer NOT NULL,\n\tPRIMARY KEY(`run_id`, `step_id`),\n\tFOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade\n);",
      "CREATE TABLE `workflow_runs` (\n\t`run_id` text PRIMARY KEY NOT NULL,\n\t`workflow_id` text NOT NULL,\n\t`workflow_version` text DEFAULT '1' NOT NULL,\n\t`status` text DEFAULT 'PENDING' NOT NULL,\n\t`progress` real DEFAULT 0 NOT NULL,\n\t`input` text,\n\t`output` text,\n\t`error` text,\n\t`context` text,\n\t`tags` text,\n\t`resource_id` text,\n\t`idempotency_key` text,\n\t`worker_id` text,\n\t`lease_expires_at` integer,\n\t`attempt` integer DEFAULT 0 NOT NULL,\n\t`revision` integer DEFAULT 1 NOT NULL,\n\t`created_at` integer NOT NULL,\n\t`started_at` integer,\n\t`completed_at` integer,\n\t`updated_at` integer NOT NULL,\n\tCONSTRAINT \"workflow_runs_progress_check\" CHECK(progress between 0 and 1)\n);",
      "CREATE INDEX `workflow_runs_created_at_idx` ON `workflow_runs` (`created_at`,`run_id`);",
      "CREATE INDEX `workflow_runs_status_idx` ON `workflow_runs` (`status`,`created_at`,`run_id`);",
      "CREATE INDEX `workflow_runs_workflow_idx` ON `workflow_runs` (`workflow_id`,`status`,`created_at`,`run_id`);",
      "CREATE INDEX `workflow_runs_resource_idx` ON `workflow_runs` (`resource_id`,`created_at`,`run_id`) WHERE resource_id is not null;",
      "CREATE UNIQUE INDEX `workflow_runs_idempotency_idx` ON `workflow_runs` (`workflow_id`,`idempotency_key`) WHERE idempotency_key is not null;",
      "CREATE INDEX `workflow_runs_lease_idx` ON `workflow_runs` (`lease_expires_at`) WHERE lease_expires_at is not null;",
      "CREATE INDEX `workflow_runs_completed_at_idx` ON `workflow_runs` (`completed_at`) WHERE completed_at is not null;",
      "CREATE TABLE `workflow_state` (\n\t`run_id` text NOT NULL,\n\t`key` text NOT NULL,\n\t`value` text NOT NULL,\n\t`revision` integer DEFAULT 1 NOT NULL,\n\t`updated_at` integer NOT NULL,\n\tPRIMARY KEY(`run_id`, `key`),\n\tFOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade\n);"
    ]
  },
  {
    "tag": "0001_durable-engine",
    "when": 1795613580000,
    "hash": "4b3efa91e0f89a13fec48a36e2d90e6d41354454084e437da70064463263b3f9",
    "statements": [
      "CREATE TABLE `step_attempts` (\n\t`run_id` text NOT NULL,\n\t`step_id` text NOT NULL,\n\t`attempt` integer NOT NULL,\n\t`status` text NOT NULL,\n\t`error` text,\n\t`worker_id` text,\n\t`started_at` integer,\n\t`completed_at` integer,\n\tPRIMARY KEY(`run_id`, `step_id`, `attempt`),\n\tFOREIGN KEY (`run_id`) REFERENCES `workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade\n);",
      "ALTER TABLE `step_executions` ADD `attempt_offset` integer DEFAULT 0 NOT NULL;",
      "ALTER TABLE `step_executions` ADD `sleep_count` integer DEFAULT 0 NOT NULL;",
      "ALTER TABLE `step_executions` ADD `wake_at` integer;",
      "ALTER TABLE `workflow_runs` ADD `wake_at` integer;",
      "ALTER TABLE `workflow_runs` ADD `deadline_at` integer;",
      "CREATE INDEX `workflow_runs_ready_idx` ON `workflow_runs` (`workflow_id`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';",
      "CREATE INDEX `workflow_runs_wake_idx` ON `workflow_runs` (`wake_at`,`created_at`,`run_id`) WHERE wake_at is not null;"
    ]
  },
  {
    "tag": "0002_indexes-of-reports",
    "when": 1795613916000,
    "hash": "36babf9e10fb9a3b368225b19ddecd113e0c68c7ddf41d6485b5482f79b24a47",
    "statements": [
      "DROP INDEX IF EXISTS `workflow_runs_completed_at_idx`;",
      "CREATE INDEX `workflow_runs_completed_at_idx` ON `workflow_runs` (`completed_at`,`workflow_id`,`status`,`started_at`) WHERE completed_at is not null;",
      "CREATE INDEX `step_executions_completed_at_idx` ON `step_executions` (`completed_at`,`step_id`,`status`,`attempt`,`duration_ms`,`run_id`) WHERE completed_at is not null;"
    ]
  },
  {
    "tag": "0003_timeout-of-a-run",
    "when": 1795625606000,
    "hash": "3bd380fb0c248394e9adc6f86a3b719ff243081f95b8b640ed9cf83019fad831",
    "statements": [
      "ALTER TABLE `workflow_runs` ADD `timeout_ms` integer;"
    ]
  },
  {
    "tag": "0004_claims-by-version",
    "when": 1795982404000,
    "hash": "cebbe62f6afa6c6008f443302b682534adff338529b67c0bc5a7d30497a69bc6",
    "statements": [
      "DROP INDEX IF EXISTS `workflow_runs_lease_idx`;",
      "DROP INDEX IF EXISTS `workflow_runs_ready_idx`;",
      "ALTER TABLE `workflow_runs` ADD `lost_leases` integer DEFAULT 0 NOT NULL;",
      "ALTER TABLE `workflow_runs` ADD `state_revision` integer DEFAULT 0 NOT NULL;",
      "CREATE INDEX `workflow_runs_lease_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`lease_expires_at`) WHERE lease_expires_at is not null;",
      "CREATE INDEX `workflow_runs_ready_idx` ON `workflow_runs` (`workflow_id`,`workflow_version`,`wake_at`,`created_at`,`run_id`) WHERE status = 'PENDING';",
      "ALTER TABLE `step_executions` ADD `input_from` text;"
    ]
  },
  {
    "tag": "0005_workflow-of-steps",
    "when": 1796037032000,
    "hash": "017c386ef8761a40271ae9d3b0a28681dd5754b7efdd0bd698a873580dff4939",
    "statements": [
      "DROP INDEX IF EXISTS `step_executions_completed_at_idx`;",
      "ALTER TABLE `step_executions` ADD `workflow_id` text;",
      "CREATE INDEX `step_executions_workflow_idx` ON `step_executions` (`workflow_id`,`step_id`,`completed_at`,`status`,`attempt`,`duration_ms`,`run_id`) WHERE completed_at is not null;"
    ]
  },
  {
    "tag": "0006_paused-workflows",
    "when": 1796046912000,
    "hash": "4f28a0a3ba9bf01218cf52e631d47317dcb18b3b167a1779e4a288fa6af24fb8",
    "statements": [
      "CREATE TABLE `workflow_pauses` (\n\t`workflow_id` text PRIMARY KEY NOT NULL,\n\t`paused_at` integer NOT NULL,\n\t`reason` text\n);"
    ]
  },
  {
    "tag": "0007_time-of-the-claim",
    "when": 1796058705000,
    "hash": "cb2f25ff791ef26a1ddd31a571adbe6db8836bea92c07b77a1724944ba49bfae",
    "statements": [
      "ALTER TABLE `workflow_runs` ADD `claimed_at` integer;"
    ]
  },
  {
    "tag": "0008_times-in-indexes",
    "when": 1796061135000,
    "hash": "f3cde6eaacc64391c47fb49600ba2a2bb9ed6970e343c65131fde799b92dbbf8",
    "statements": [
      "DROP INDEX IF EXISTS `step_executions_workflow_idx`;",
      "CREATE INDEX `step_executions_workflow_idx` ON `step_executions` (`workflow_id`,`step_id`,`completed_at`,`status`,`attempt`,`duration_ms`,`run_id`,`execution_index`) WHERE completed_at is not null;",
      "DROP INDEX IF EXISTS `workflow_runs_workflow_idx`;",
      "CREATE INDEX `workflow_runs_workflow_idx` ON `workflow_runs` (`workflow_id`,`status`,`created_at`,`run_id`,`started_at`,`completed_at`);"
    ]
  },
  {
    "tag": "0009_ended-runs-by-workflow",
    "when": 1796105671000,
    "hash": "816092335b9de3e9529bc4dc16f956a8e1a3f751204f5d8e8324112d5da0d71f",
    "statements": [
      "CREATE INDEX `workflow_runs_ended_idx` ON `workflow_runs` (`workflow_id`,`status`,`completed_at`,`started_at`) WHERE completed_at is not null;"
    ]
  }
];
