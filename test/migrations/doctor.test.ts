import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { doctor } from "../../src/migrations/doctor.ts";
import { migrationsTable } from "../../src/migrations/journal.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { createWorkflowTables } from "../../src/schema/tables.ts";

let client: LocalClient;
beforeEach(async () => {
  client = createClient(":memory:");
  await migrate(client);
});
afterEach(() => client.close());

const codes = async () => (await doctor(client)).findings.map(({ code }) => code);

/** Makes a table anew with another definition, as a wrong migration would. */
async function redefine(table: string, change: (sql: string) => string): Promise<void> {
  const { rows } = await client.execute({
    sql: "select sql from sqlite_schema where tbl_name = ? and sql is not null order by type desc",
    args: [table],
  });
  const [definition = "", ...indexes] = rows.map((row) => row["sql"] as string);
  await client.migrate([`drop table ${table}`, change(definition), ...indexes]);
}

test("a migrated database is healthy", async () => {
  expect(await doctor(client)).toEqual({ healthy: true, findings: [] });
});

test("an empty database lacks every table", async () => {
  const empty = createClient(":memory:");
  expect(await doctor(empty)).toMatchObject({
    healthy: false,
    findings: Array.from({ length: 5 }, () => ({ code: "TABLE_MISSING" })),
  });
  empty.close();
});

test("tables with a prefix are compared with theirs", async () => {
  const tables = createWorkflowTables({ prefix: "app_" });
  expect((await doctor(client, { tables })).findings.map(({ table }) => table)).toEqual([
    "app_workflow_runs",
    "app_step_executions",
    "app_step_attempts",
    "app_step_outputs",
    "app_workflow_state",
  ]);
});

describe("finds", () => {
  test.each([
    ["a dropped table", "drop table step_outputs", ["TABLE_MISSING"]],
    ["a dropped index", "drop index workflow_runs_status_idx", ["INDEX_MISSING"]],
    [
      "an index on other columns",
      "drop index workflow_runs_status_idx; create index workflow_runs_status_idx on workflow_runs (status, run_id, created_at)",
      ["INDEX_CHANGED"],
    ],
    [
      "an index on other rows",
      "drop index workflow_runs_lease_idx; create index workflow_runs_lease_idx on workflow_runs (lease_expires_at)",
      ["INDEX_CHANGED"],
    ],
    [
      "an index that is not unique",
      "drop index workflow_runs_idempotency_idx; create index workflow_runs_idempotency_idx on workflow_runs (workflow_id, idempotency_key) where idempotency_key is not null",
      ["INDEX_CHANGED"],
    ],
    ["an extra index", "create index mine on workflow_runs (progress)", ["INDEX_EXTRA"]],
    [
      "a dropped column",
      "alter table step_executions drop column duration_ms",
      ["COLUMN_MISSING", "INDEX_MISSING", "CHECK_MISSING"],
    ],
    [
      "a renamed column",
      "alter table workflow_state rename column value to content",
      ["COLUMN_MISSING", "COLUMN_EXTRA"],
    ],
    ["an extra column", "alter table workflow_runs add column mine text", ["COLUMN_EXTRA"]],
    [
      "a table left over of a rebuild",
      "create table __new_workflow_runs (run_id text)",
      ["TABLE_LEFT_OVER"],
    ],
  ])("%s", async (_, script, expected) => {
    if (script.includes("duration_ms")) {
      // A column with a check, or in an index, cannot be dropped: the table has to be made anew.
      await client.execute("drop index step_executions_completed_at_idx");
      await redefine("step_executions", (sql) =>
        sql.replace("`duration_ms` integer,", "").replace(/,\s*CONSTRAINT[^]*\)\s*\)$/, ")"),
      );
    } else {
      await client.executeMultiple(script);
    }
    expect(await codes()).toEqual(expected);
  });

  test("what migrations of others have made of a table", async () => {
    await redefine("workflow_state", (sql) =>
      sql
        .replace("`value` text NOT NULL", "`value` blob")
        .replace("DEFAULT 1 NOT NULL", "DEFAULT 2 NOT NULL")
        .replace("ON DELETE cascade", "ON DELETE no action")
        .replace(
          "`updated_at` integer NOT NULL",
          "`updated_at` integer NOT NULL, `more` text NOT NULL, CHECK (more <> '')",
        ),
    );
    const { healthy, findings } = await doctor(client);
    expect(healthy).toBe(false);
    expect(findings.map(({ code, message }) => `${code} ${message}`)).toEqual([
      "COLUMN_CHANGED column workflow_state.value has another type (blob), nullability",
      "COLUMN_CHANGED column workflow_state.revision has another default",
      expect.stringContaining("COLUMN_EXTRA column workflow_state.more"),
      expect.stringContaining("FOREIGN_KEY_MISSING"),
      expect.stringContaining("FOREIGN_KEY_EXTRA"),
      expect.stringContaining("CHECK_EXTRA"),
    ]);
    for (const { remedy } of findings) expect(remedy).not.toBe("");
  });

  test("rows whose run is gone, which do no harm", async () => {
    await client.execute(
      "insert into workflow_runs (run_id, workflow_id, created_at, updated_at) values ('r', 'w', 1, 1)",
    );
    await client.execute("insert into step_outputs values ('r', 's', '1', 1, 1)");
    await client.migrate(["delete from workflow_runs"]);
    expect(await doctor(client)).toMatchObject({
      healthy: true,
      findings: [{ code: "ORPHANED_ROWS", severity: "warning", table: "step_outputs" }],
    });
  });

  test("migrations that are pending, and such of another version", async () => {
    await client.execute(`update ${migrationsTable} set hash = 'other' where rowid = 1`);
    expect(await codes()).toEqual(["MIGRATIONS_PENDING", "MIGRATIONS_UNKNOWN"]);
  });
});
