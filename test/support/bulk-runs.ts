import { createClient } from "../../src/client/create-client.ts";
import { migrate } from "../../src/migrations/migrate.ts";

/** The time of the oldest run. Each later run is one second younger. */
export const bulkBeginning = Date.UTC(2024, 0, 1);

/**
 * Fills a new file with runs of four steps by SQL, ten times as fast as the store would: a million take a minute.
 * Every twentieth run is FAILED, every hundredth PENDING, the rest COMPLETED.
 */
export async function makeBulkRuns(url: string, runs: number): Promise<void> {
  const client = createClient({ url, durability: "normal" });
  await migrate(client);
  const perCommit = 10_000;
  for (let start = 0; start < runs; start += perCommit) {
    const count = Math.min(perCommit, runs - start);
    const numbers = `with recursive n(i) as (select ${start} union all select i + 1 from n where i + 1 < ${start + count})`;
    const runId = "printf('run-%09d', i)";
    const at = `${bulkBeginning} + i * 1000`;
    const steps = `(select 0 as s union all select 1 union all select 2 union all select 3)`;
    await client.batch(
      [
        `${numbers} insert into workflow_runs
          (run_id, workflow_id, workflow_version, status, progress, input, output, tags, resource_id, created_at,
           started_at, completed_at, updated_at)
          select ${runId}, 'workflow-' || (i % 5), '1',
            case when i % 100 = 7 then 'PENDING' when i % 20 = 3 then 'FAILED' else 'COMPLETED' end, 1,
            json_object('order', i, 'note', hex(randomblob(40))), json_array(i), json_object('n', cast(i % 7 as text)),
            'customer-' || (i % 1000),
            ${at}, ${at}, iif(i % 100 = 7, null, ${at} + 500), ${at} + 500 from n`,
        `${numbers} insert into step_executions
          (run_id, step_id, execution_index, status, attempt, input, duration_ms, created_at, started_at,
           completed_at, updated_at)
          select ${runId}, 'step-' || s, s, 'COMPLETED', 1, json_object('order', i), 100,
            ${at}, ${at}, ${at} + 100, ${at} + 100 from n, ${steps}`,
        `${numbers} insert into step_outputs (run_id, step_id, output, created_at, updated_at)
          select ${runId}, 'step-' || s, json_object('order', i, 'step', s), ${at}, ${at} from n, ${steps}`,
        `${numbers} insert into workflow_state (run_id, key, value, revision, updated_at)
          select ${runId}, 'total', i, 1, ${at} from n`,
      ],
      "write",
    );
  }
  client.close();
}
