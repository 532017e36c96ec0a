import type { Client } from "@libsql/client";
import type { DoctorCode, DoctorFinding } from "../../../src/migrations/doctor/findings.ts";

type Expected = readonly [DoctorCode, DoctorFinding["severity"], message: RegExp, remedy: RegExp];

/** Something that somebody has done to the tables, whose names may have a prefix, and what the doctor says of it. */
export interface Drift {
  readonly name: string;
  plant(client: Client, prefix: string): Promise<unknown>;
  readonly findings: readonly Expected[];
}

const run = (script: string) => (client: Client, prefix: string) =>
  client.executeMultiple(script.replaceAll("%", prefix));

/** Makes a table anew with another definition and the same rows, as a wrong migration would. */
function redefine(table: string, from: string, to: string, values: Record<string, string> = {}) {
  return async (client: Client, prefix: string) => {
    const name = `${prefix}${table}`;
    const { rows } = await client.execute({
      sql: "select sql from sqlite_schema where tbl_name = ? and sql is not null order by type desc",
      args: [name],
    });
    const [definition = "", ...indexes] = rows.map((row) => row["sql"] as string);
    const [before, after] = [from.replaceAll("%", prefix), to.replaceAll("%", prefix)];
    if (!definition.includes(before)) throw new Error(`there is no ${before} in ${definition}`);
    const changed = definition.replace(before, after);
    const rebuilt = changed.replace(`TABLE \`${name}\``, "TABLE rebuilt");
    await client.execute(rebuilt);
    const columns = await client.execute(
      `select name from pragma_table_info('rebuilt') intersect select name from pragma_table_info('${name}')`,
    );
    const into = columns.rows.map((row) => `"${row["name"] as string}"`);
    await client.migrate([
      `insert into rebuilt (${[...into, ...Object.keys(values)].join()})
       select ${[...into, ...Object.values(values)].join()} from ${name}`,
      `drop table ${name}`,
      `alter table rebuilt rename to ${name}`,
      ...indexes,
    ]);
  };
}

const restores = /^run: create (table|(unique )?index) "[^;]*;( and then this again|$)/;
const renames = /^rename \w+ back to \w+$/;
const backup = /^rename it back if it was renamed, or restore a backup/;
const drops = /^drop it, and then run this again/;
const moves = /^stop what writes here, `gorkflow export` all runs, and `gorkflow import`/;
const reference =
  "FOREIGN KEY (`run_id`) REFERENCES `%workflow_runs`(`run_id`) ON UPDATE no action ON DELETE cascade";

export const drifts: readonly Drift[] = [
  {
    name: "a table that was dropped",
    plant: run("drop table %step_outputs"),
    findings: [["TABLE_MISSING", "error", /^table \w*step_outputs is missing$/, restores]],
  },
  {
    name: "a table that was renamed",
    plant: run("alter table %step_outputs rename to %step_outputs_old"),
    findings: [
      ["TABLE_MISSING", "error", /^table \w*step_outputs is missing$/, restores],
      ["TABLE_EXTRA", "warning", /^table \w*step_outputs_old is not in the schema/, /^drop it if/],
    ],
  },
  {
    name: "tables that are named as ours are",
    plant: run(
      "create table %workflow_notes (a); create table %step_signals (a); create table __gorkflow_old (a)",
    ),
    findings: [
      ["TABLE_EXTRA", "warning", /__gorkflow_old is not in the schema/, /^drop it if it is a copy/],
      ["TABLE_EXTRA", "warning", /step_signals is not in the schema/, /rename it if it is yours/],
      ["TABLE_EXTRA", "warning", /workflow_notes is not in the schema/, /tablesFilter/],
    ],
  },
  {
    name: "what is left over of a rebuild",
    plant: run("create table __new_%workflow_runs (run_id text)"),
    findings: [
      ["TABLE_LEFT_OVER", "error", /left over of a rebuild, and the next one fails/, /then drop/],
    ],
  },
  {
    name: "tables of the app, which are the app's affair",
    plant: run(
      `create table orders (run_id text references %workflow_runs (run_id) on delete set null);
       create table workflows (a); create table steps (a); create table my_workflow_runs (a)`,
    ),
    findings: [],
  },
  {
    name: "a column that was dropped",
    plant: run("alter table %step_executions drop column sleep_count"),
    findings: [
      ["COLUMN_MISSING", "error", /^column \w*step_executions\.sleep_count is missing$/, backup],
    ],
  },
  {
    name: "a column that was dropped, whose values nobody knows",
    plant: run("alter table %step_outputs drop column updated_at"),
    findings: [["COLUMN_MISSING", "error", /step_outputs\.updated_at is missing$/, backup]],
  },
  {
    name: "a column that was renamed",
    plant: run("alter table %workflow_state rename column value to content"),
    findings: [
      [
        "COLUMN_MISSING",
        "error",
        /workflow_state\.value is missing: it seems to be called content now/,
        renames,
      ],
      ["COLUMN_EXTRA", "error", /content is not in the schema, and no row can be/, renames],
    ],
  },
  {
    name: "the column that everything hangs from, renamed",
    plant: run("alter table %step_outputs rename column run_id to run"),
    findings: [
      ["COLUMN_MISSING", "error", /step_outputs\.run_id is missing/, renames],
      ["COLUMN_EXTRA", "error", /step_outputs\.run is not in the schema/, renames],
      ["FOREIGN_KEY_MISSING", "error", /lacks its foreign key \(run_id\)/, moves],
      ["FOREIGN_KEY_EXTRA", "error", /has a foreign key \(run\)/, moves],
    ],
  },
  {
    name: "a column of another type",
    plant: redefine("step_executions", "`duration_ms` integer", "`duration_ms` text"),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /step_executions\.duration_ms has another type \(text, not integer\)$/,
        moves,
      ],
    ],
  },
  {
    name: "a column that may be NULL",
    plant: redefine("workflow_runs", "`workflow_id` text NOT NULL", "`workflow_id` text"),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /workflow_runs\.workflow_id has another nullability \(it may be NULL\)$/,
        moves,
      ],
    ],
  },
  {
    name: "a column that may not be NULL",
    plant: redefine("workflow_runs", "`resource_id` text", "`resource_id` text NOT NULL"),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /workflow_runs\.resource_id has another nullability \(it is NOT NULL\)$/,
        moves,
      ],
    ],
  },
  {
    name: "a column with another default",
    plant: redefine(
      "workflow_runs",
      "`status` text DEFAULT 'PENDING'",
      "`status` text DEFAULT 'pending'",
    ),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /workflow_runs\.status has another default \('pending', not 'PENDING'\)$/,
        moves,
      ],
    ],
  },
  {
    name: "a column without its default",
    plant: redefine("workflow_state", "DEFAULT 1 NOT NULL", "NOT NULL"),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /workflow_state\.revision has another default \(none, not 1\)$/,
        moves,
      ],
    ],
  },
  {
    name: "columns that are compared in another way",
    plant: redefine(
      "step_outputs",
      "`run_id` text NOT NULL,\n\t`step_id` text NOT NULL,",
      "`run_id` text COLLATE rtrim NOT NULL DEFAULT (lower(',')), `step_id` text NOT NULL COLLATE NOCASE, `more` text COLLATE BINARY,",
    ),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /outputs\.run_id has another default \(lower \( ',' \), not none\), collation \(rtrim, not binary\)$/,
        moves,
      ],
      [
        "COLUMN_CHANGED",
        "error",
        /outputs\.step_id has another collation \(nocase, not binary\)$/,
        moves,
      ],
      ["COLUMN_EXTRA", "warning", /step_outputs\.more is not in the schema$/, /table of your own/],
    ],
  },
  {
    name: "a primary key that compares in another way",
    plant: redefine(
      "step_outputs",
      "PRIMARY KEY(`run_id`, `step_id`)",
      "PRIMARY KEY(`run_id`, `step_id` COLLATE NOCASE)",
    ),
    findings: [
      ["COLUMN_CHANGED", "error", /step_id has another collation \(nocase, not binary\)$/, moves],
    ],
  },
  {
    name: "rules that do not refuse what breaks them",
    plant: redefine(
      "step_outputs",
      "PRIMARY KEY(`run_id`, `step_id`)",
      "PRIMARY KEY(`run_id`, `step_id`) ON CONFLICT IGNORE",
    ),
    findings: [
      ["TABLE_CHANGED", "error", /step_outputs has a rule with ON CONFLICT IGNORE: a write/, moves],
    ],
  },
  {
    name: "options of a table that make no difference",
    plant: redefine(
      "step_outputs",
      "ON DELETE cascade\n)",
      "ON DELETE cascade DEFERRABLE INITIALLY DEFERRED, UNIQUE (`run_id`, `step_id`) ON CONFLICT ABORT\n) STRICT, WITHOUT ROWID",
    ),
    findings: [],
  },
  {
    name: "another primary key",
    plant: redefine(
      "step_outputs",
      "PRIMARY KEY(`run_id`, `step_id`)",
      "PRIMARY KEY(`step_id`, `run_id`)",
    ),
    findings: [
      ["COLUMN_CHANGED", "error", /outputs\.run_id has another place in the primary key$/, moves],
      ["COLUMN_CHANGED", "error", /outputs\.step_id has another place in the primary key$/, moves],
    ],
  },
  {
    name: "no primary key",
    plant: redefine("step_outputs", "PRIMARY KEY(`run_id`, `step_id`),", ""),
    findings: [
      ["COLUMN_CHANGED", "error", /outputs\.run_id has another place in the primary key$/, moves],
      ["COLUMN_CHANGED", "error", /outputs\.step_id has another place in the primary key$/, moves],
    ],
  },
  {
    name: "more columns, which do no harm",
    plant: run(
      `alter table %workflow_runs add column region text;
       alter table %workflow_runs add column shard integer not null default 7;
       alter table %workflow_runs add column year integer generated always as (created_at / 31556952000) virtual`,
    ),
    findings: [
      [
        "COLUMN_EXTRA",
        "warning",
        /workflow_runs\.region is not in the schema$/,
        /table of your own/,
      ],
      ["COLUMN_EXTRA", "warning", /workflow_runs\.shard is not in the schema$/, /drops them$/],
      ["COLUMN_EXTRA", "warning", /workflow_runs\.year is not in the schema$/, /table of your own/],
    ],
  },
  {
    name: "one more column, without which no row can be written",
    plant: redefine(
      "workflow_state",
      "`updated_at` integer",
      "`tenant` text NOT NULL, `updated_at` integer",
      { tenant: "'acme'" },
    ),
    findings: [
      [
        "COLUMN_EXTRA",
        "error",
        /workflow_state\.tenant is not in the schema, and no row can be written without it$/,
        moves,
      ],
    ],
  },
  {
    name: "an index that was dropped",
    plant: run("drop index %workflow_runs_status_idx"),
    findings: [
      [
        "INDEX_MISSING",
        "error",
        /^index \w*workflow_runs_status_idx is missing: queries scan/,
        restores,
      ],
    ],
  },
  ...(
    [
      [
        "on other columns",
        "status_idx",
        "(status, run_id, created_at)",
        /on \(status, run_id, created_at\), not on \(status, created_at, run_id\)$/,
      ],
      [
        "in another order",
        "created_at_idx",
        "(created_at, run_id desc)",
        /on \(created_at, run_id desc\), not/,
      ],
      [
        "by another collation",
        "created_at_idx",
        "(created_at, run_id collate nocase)",
        /run_id collate nocase\), not/,
      ],
      [
        "on all rows",
        "lease_idx",
        "(workflow_id, workflow_version, lease_expires_at)",
        /on \(workflow_id, workflow_version, lease_expires_at\), not on \(.*\) where lease/,
      ],
      [
        "on other rows",
        "ready_idx",
        "(workflow_id, workflow_version, wake_at, created_at, run_id) where status = 'pending'",
        /where status = 'pending', not on .* where status = 'PENDING'$/,
      ],
      [
        "that is not unique",
        "idempotency_idx",
        "(workflow_id, idempotency_key) where idempotency_key is not null",
        /is on \(.*, not unique on/,
      ],
    ] as const
  ).map(([how, index, definition, message]) => ({
    name: `an index ${how}`,
    plant: run(
      `drop index %workflow_runs_${index}; create index %workflow_runs_${index} on %workflow_runs ${definition}`,
    ),
    findings: [["INDEX_CHANGED", "error", message, drops] as const],
  })),
  {
    name: "an index that is unique",
    plant: run(
      `drop index %workflow_runs_lease_idx;
       create unique index %workflow_runs_lease_idx on %workflow_runs (workflow_id, workflow_version, lease_expires_at) where lease_expires_at is not null`,
    ),
    findings: [
      [
        "INDEX_CHANGED",
        "error",
        /is unique on \(workflow_id, workflow_version, lease_expires_at\)/,
        drops,
      ],
    ],
  },
  {
    name: "more indexes, which do no harm",
    plant: run(
      `create index mine on %workflow_runs (progress);
       create index mine_too on %workflow_runs (lower(resource_id));
       create unique index by_key on %workflow_runs (status, run_id)`,
    ),
    findings: [
      [
        "INDEX_EXTRA",
        "warning",
        /^index by_key is not in the schema: each costs/,
        /^drop it, unless/,
      ],
      ["INDEX_EXTRA", "warning", /^index mine is not/, /^drop it, unless a query of yours/],
      ["INDEX_EXTRA", "warning", /^index mine_too is not/, /^drop it, unless a query of yours/],
    ],
  },
  {
    name: "one more unique index, which refuses runs",
    plant: run("create unique index one_each on %workflow_runs (resource_id)"),
    findings: [
      [
        "INDEX_EXTRA",
        "error",
        /one_each, unique on \(resource_id\), .* refuses rows/,
        /^drop it, and/,
      ],
    ],
  },
  {
    name: "one more unique constraint, which refuses runs",
    plant: redefine("workflow_runs", "`resource_id` text", "`resource_id` text UNIQUE"),
    findings: [
      [
        "INDEX_EXTRA",
        "error",
        /workflow_runs has unique on \(resource_id\), .* refuses rows/,
        moves,
      ],
    ],
  },
  {
    name: "a check that was dropped",
    plant: redefine(
      "step_executions",
      ',\n\tCONSTRAINT "%step_executions_duration_ms_check" CHECK(duration_ms >= 0)',
      "",
    ),
    findings: [
      ["CHECK_MISSING", "error", /step_executions lacks its check \(duration_ms >= 0\)$/, moves],
    ],
  },
  {
    name: "a check that was changed",
    plant: redefine(
      "workflow_runs",
      "CHECK(progress between 0 and 1)",
      "CHECK(progress between 0 and 100)",
    ),
    findings: [
      [
        "CHECK_CHANGED",
        "error",
        /checks \(progress between 0 and 100\), not \(progress between 0 and 1\)$/,
        moves,
      ],
    ],
  },
  {
    name: "one more check",
    plant: redefine("workflow_state", "`key` text", "`key` text CHECK (`key` <> 'check (it)')"),
    findings: [
      ["CHECK_EXTRA", "error", /has a check \(key <> 'check \(it\)'\) that is not/, moves],
    ],
  },
  {
    name: "definitions that say the same in other words",
    plant: redefine(
      "workflow_runs",
      'CONSTRAINT "%workflow_runs_progress_check" CHECK(progress between 0 and 1)',
      "check ( ( [progress] BETWEEN /* both in */ 0 AND 1 ) ) -- fine\n",
    ),
    findings: [],
  },
  {
    name: "names in another case, in other words",
    plant: run(
      `alter table %workflow_state rename to passing; alter table passing rename to %Workflow_STATE;
       alter table %workflow_runs rename column worker_id to Worker_ID;
       drop index %workflow_runs_status_idx;
       create index %WORKFLOW_runs_Status_idx on %Workflow_Runs (STATUS, [Created_At], "RUN_ID")`,
    ),
    findings: [],
  },
  {
    name: "conditions with more parentheses, in other words",
    plant: run(
      `drop index %workflow_runs_lease_idx; drop index %workflow_runs_ready_idx;
       create index %workflow_runs_lease_idx on %workflow_runs (workflow_id, workflow_version, lease_expires_at)
         where ((("%workflow_runs"."lease_expires_at")) notnull);
       create index %workflow_runs_ready_idx on %workflow_runs (workflow_id, workflow_version, wake_at, created_at, run_id)
         where (%workflow_runs.status) == ('PENDING')`,
    ),
    findings: [],
  },
  {
    name: "a condition that is another one in parentheses",
    plant: run(
      `drop index %workflow_runs_ready_idx;
       create index %workflow_runs_ready_idx on %workflow_runs (workflow_id, workflow_version, wake_at, created_at, run_id)
         where status in ('PENDING')`,
    ),
    findings: [["INDEX_CHANGED", "error", /where status in \( 'PENDING' \), not/, drops]],
  },
  {
    name: "a column that is generated",
    plant: redefine(
      "workflow_runs",
      "`worker_id` text",
      "`worker_id` text generated always as ('me')",
    ),
    findings: [
      [
        "COLUMN_CHANGED",
        "error",
        /worker_id has another kind \(it is generated, and cannot be written\)$/,
        moves,
      ],
    ],
  },
  {
    name: "unique constraints that repeat what is unique",
    plant: redefine(
      "workflow_runs",
      'CONSTRAINT "%workflow_runs_progress_check"',
      'UNIQUE(Workflow_Id, idempotency_key), UNIQUE(status, run_id), CONSTRAINT "%workflow_runs_progress_check"',
    ),
    findings: [
      ["INDEX_EXTRA", "warning", /unique on \(workflow_id, idempotency_key\), .* costs/i, /^keep/],
      ["INDEX_EXTRA", "warning", /unique on \(status, run_id\), .* costs every write$/, /^keep/],
    ],
  },
  {
    name: "rules for columns of the app's own, which are NULL where the stores write",
    plant: redefine(
      "step_outputs",
      "`output` text",
      `"order" text UNIQUE CHECK ("order" IS NULL OR "order" > '0') REFERENCES "%workflow_runs" (run_id),
       region text DEFAULT 'eu' CHECK (region IN ('eu', 'us')), \`output\` text`,
    ),
    findings: [
      ["COLUMN_EXTRA", "warning", /order is not/, /your own/],
      ["COLUMN_EXTRA", "warning", /region is not/, /your own/],
      ["INDEX_EXTRA", "warning", /has unique on \(order\), .* costs every write$/, /^keep it if/],
      ["FOREIGN_KEY_EXTRA", "warning", /foreign key \(order\) .* is not in the schema$/, /^keep/],
      ["CHECK_EXTRA", "warning", /check \(order is null or order > '0'\)/, /^keep it if/],
      ["CHECK_EXTRA", "warning", /check \(region in \( 'eu' , 'us' \)\)/, /^keep it if/],
    ],
  },
  {
    name: "rules for columns of the app's own, which refuse what the stores write",
    plant: redefine(
      "workflow_state",
      "`value` text",
      `tenant text CHECK (tenant IS NOT NULL OR 0), region text DEFAULT 'eu' UNIQUE CHECK (region <> 'eu'),
       size integer CHECK (size > 0 AND revision < 9), \`value\` text`,
      { tenant: "rowid", region: "rowid" },
    ),
    findings: [
      ["COLUMN_EXTRA", "warning", /tenant is not/, /your own/],
      ["COLUMN_EXTRA", "warning", /region is not/, /your own/],
      ["COLUMN_EXTRA", "warning", /size is not/, /your own/],
      ["INDEX_EXTRA", "error", /has unique on \(region\), .* refuses rows/, moves],
      ["CHECK_EXTRA", "error", /check \(tenant is not null or 0\) .* refuses rows/, moves],
      ["CHECK_EXTRA", "error", /check \(region <> 'eu'\) .* refuses rows/, moves],
      ["CHECK_EXTRA", "error", /check \(size > 0 and revision < 9\) .* refuses rows/, moves],
    ],
  },
  {
    name: "a foreign key that was dropped",
    plant: redefine("step_attempts", `,\n\t${reference}`, ""),
    findings: [
      [
        "FOREIGN_KEY_MISSING",
        "error",
        /step_attempts lacks its foreign key \(run_id\) references/,
        moves,
      ],
    ],
  },
  {
    name: "a foreign key that does something else when a run is deleted",
    plant: redefine("workflow_state", "ON DELETE cascade", "ON DELETE no action"),
    findings: [
      [
        "FOREIGN_KEY_CHANGED",
        "error",
        /on delete no action on update no action, not .* on delete cascade/,
        moves,
      ],
    ],
  },
  {
    name: "a foreign key to another table",
    plant: async (client, prefix) => {
      await client.execute("create table runs (run_id text primary key)");
      await client.execute(`insert into runs select run_id from ${prefix}workflow_runs`);
      await redefine(
        "step_outputs",
        "REFERENCES `%workflow_runs`",
        "REFERENCES `runs`",
      )(client, prefix);
    },
    findings: [
      [
        "FOREIGN_KEY_CHANGED",
        "error",
        /has the foreign key \(run_id\) references runs\(run_id\)/,
        moves,
      ],
    ],
  },
  {
    name: "one more foreign key",
    plant: redefine(
      "step_outputs",
      "`output` text",
      "`step` text REFERENCES `%step_executions` (`status`), `output` text",
    ),
    findings: [
      ["COLUMN_EXTRA", "warning", /step_outputs\.step is not in the schema$/, /table of your own/],
      [
        "FOREIGN_KEY_EXTRA",
        "warning",
        /has a foreign key \(step\) references \w*step_executions\(status\)/,
        /^keep it if/,
      ],
    ],
  },
  {
    name: "a reference that leaves out the column it means",
    plant: redefine("step_outputs", "`%workflow_runs`(`run_id`)", "`%workflow_runs`"),
    findings: [],
  },
  {
    name: "a trigger",
    plant: run(
      "create table log (a); create trigger audit after update on %WORKFLOW_RUNS begin insert into log values (new.run_id); end",
    ),
    findings: [
      [
        "TRIGGER_EXTRA",
        "warning",
        /^trigger audit of \w*workflow_runs is not in the schema/,
        /unless it is yours/,
      ],
    ],
  },
  {
    name: "all at once, under views and a trigger of the app's",
    plant: async (client, prefix) => {
      const each = [
        run("alter table %workflow_runs add column region text"),
        run("alter table %workflow_runs drop column worker_id"),
        run("drop index %workflow_runs_wake_idx; create index mine on %workflow_runs (region)"),
        redefine("workflow_runs", "CHECK(progress between 0 and 1)", "CHECK(progress >= 0)"),
        redefine("step_outputs", "ON DELETE cascade", "ON DELETE set null"),
        run(
          `create view v as select run_id from %workflow_runs; create view w as select * from v;
           create table app (a); create trigger t after insert on app begin select count(*) from %workflow_runs; end;
           create trigger u after update on %workflow_runs begin delete from app; end;
           create trigger z after update on %step_outputs begin select count(*) from %workflow_runs, v; end`,
        ),
      ];
      for (const plant of each) await plant(client, prefix);
    },
    findings: [
      ["COLUMN_MISSING", "error", /worker_id/, backup],
      ["COLUMN_EXTRA", "warning", /region/, /your own/],
      ["INDEX_MISSING", "error", /wake_idx/, restores],
      ["INDEX_EXTRA", "warning", /mine/, /drop it/],
      ["CHECK_CHANGED", "error", /progress >= 0/, moves],
      ["TRIGGER_EXTRA", "warning", /trigger u/, /unless it is yours/],
      ["FOREIGN_KEY_CHANGED", "error", /on delete set null/, moves],
      ["TRIGGER_EXTRA", "warning", /trigger z/, /unless it is yours/],
    ],
  },
];
