import { LibSQLStore } from "../dist/index.js";
import { Database } from "./libsql.ts";

export const historyEnd = Date.UTC(2026, 0, 1);
const year = 365 * 24 * 3_600_000;
const stepsPerRun = 4;

/**
 * Fills a new file with a year of runs of four steps: seven workflows of unequal size, several versions, skewed
 * durations, retries and failures. The same number of runs always gives the same rows.
 */
export async function makeHistory(path: string, runs: number): Promise<void> {
  await (await LibSQLStore.open(`file:${path}`)).close();
  const database = new Database(path);
  database.exec("pragma synchronous = off; pragma foreign_keys = off");
  const perCommit = 20_000;
  for (let start = 0; start < runs; start += perCommit) {
    database.exec(`begin;${historySql(start, Math.min(perCommit, runs - start), runs)} commit`);
  }
  database.exec("analyze; pragma wal_checkpoint(truncate)");
  database.close();
}

/** The statements that insert the runs from number `start`, of `runs` in all. */
function historySql(start: number, count: number, runs: number): string {
  const numbers = `with recursive n(i) as (select ${start} union all select i + 1 from n where i + 1 < ${start + count})`;
  const runId = "printf('run-%09d', i)";
  const workflowId =
    "'workflow-' || (case when i % 2 = 0 then 0 when i % 4 = 1 then 1 else 2 + i % 5 end)";
  const createdAt = `${historyEnd - year} + i * ${year} / ${runs}`;
  const isFailed = `${random("1")} % 33 = 0`;
  const isOpen = `i >= ${runs} - ${runs} / 200`;
  const total = Array.from({ length: stepsPerRun }, (_, step) => durationOf(String(step))).join(
    " + ",
  );
  function durationOf(step: string): string {
    return skewed(150, random(`${step} * 31 + 7`));
  }
  const steps = `(select 0 as s union all select 1 union all select 2 union all select 3)`;
  const isFailedStep = `s = ${stepsPerRun - 1} and ${isFailed}`;
  const startedAt = `${createdAt} + ${random("3")} % 5000`;
  const error = `'{"name":"Error","code":"E_' || (i % 5) || '","message":"the service did not answer"}'`;
  return `
    ${numbers} insert into workflow_runs (run_id, workflow_id, workflow_version, status, progress, input, output, error,
      tags, resource_id, attempt, revision, created_at, started_at, completed_at, updated_at)
    select ${runId}, ${workflowId},
      cast(1 + max(0, i * 6 / ${runs} - ${random("2")} % 10 / 9) as text),
      case when ${isOpen} then 'PENDING' when ${isFailed} then 'FAILED' else 'COMPLETED' end, 1,
      json_object('order', i, 'note', hex(randomblob(40))), json_array(i), iif(${isFailed}, ${error}, null),
      json_object('region', 'r' || (i % 7)), 'customer-' || (${random("4")} % 1000), 1, 6,
      ${createdAt}, iif(${isOpen}, null, ${startedAt}), iif(${isOpen}, null, ${startedAt} + ${total}), ${createdAt}
    from n;
    ${numbers} insert into step_executions (run_id, step_id, execution_index, status, attempt, input, error,
      duration_ms, created_at, started_at, completed_at, updated_at, workflow_id)
    select ${runId}, 'step-' || s, s, iif(${isFailedStep}, 'FAILED', 'COMPLETED'),
      iif(${random("s * 17 + 5")} % 20 = 0, 1 + i % 4, 1), json_object('order', i),
      iif(${isFailedStep}, ${error}, null), ${durationOf("s")}, ${createdAt}, ${startedAt},
      ${startedAt} + ${durationOf("s")}, ${createdAt}, ${workflowId}
    from n, ${steps} where not (${isOpen});
    ${numbers} insert into step_outputs (run_id, step_id, output, created_at, updated_at)
    select ${runId}, 'step-' || s, json_object('order', i, 'step', s), ${createdAt}, ${createdAt}
    from n, ${steps} where not (${isOpen} or ${isFailedStep});`;
}

/** SQL for a number from 0 to 999,982 that depends on the run and on `salt`. */
function random(salt: string): string {
  return `((i * 7919 + ${salt}) * 104729 % 999983)`;
}

/** SQL for a duration from `base` upwards. Every tenth is more than ten times the base. */
function skewed(base: number, number: string): string {
  return `min(600000, ${base} * 65536 / (1 + ${number} % 65536))`;
}
