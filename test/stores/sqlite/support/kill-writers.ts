import { expect } from "vitest";
import { LibSQLStore } from "../../../../src/stores/libsql/libsql-store.ts";
import { migrate } from "../../../../src/migrations/migrate.ts";
import { drizzleOn, openBetterSQLite3 } from "../../../support/better-sqlite3.ts";
import { compileProgram, startProgram } from "../../../support/child-processes.ts";

interface Message {
  readonly started?: string;
  readonly created?: string;
  readonly finished?: string;
}

/**
 * Kills processes that write to a new database, again and again. Expects that nothing is lost that they have acknowledged,
 * and that no order is without its run. `options` choose the runtime of the processes.
 */
export async function killWriters(
  file: string,
  kills: number,
  options: Parameters<typeof startProgram>[2] = {},
): Promise<void> {
  const program = await compileProgram(`${import.meta.dirname}/../programs/sync-writer.ts`);
  const client = openBetterSQLite3(file);
  await migrate(drizzleOn(client));
  client.exec("create table orders (order_id text primary key, run_id text)");
  client.close();
  const created = new Set<string>();
  const finished = new Set<string>();
  for (let round = 0; round < kills; round++) {
    const [writer, other] = [0, 1].map(() => startProgram<Message>(program, [file], options));
    const count = 3 + (round % 5) * 4;
    let seen = 0;
    await writer!.message(({ finished: runId }) => runId !== undefined && ++seen > count);
    await Promise.all([writer!.kill(), other!.kill()]);
    for (const message of [...writer!.messages, ...other!.messages]) {
      if (message.created !== undefined) created.add(message.created).add(message.started!);
      if (message.finished !== undefined) finished.add(message.finished);
    }
  }
  const store = await LibSQLStore.open(`file:${file}`);
  for (const runId of created) expect(await store.findRun(runId)).not.toBeNull();
  for (const runId of finished)
    expect(await store.getRun(runId)).toMatchObject({ status: "COMPLETED" });
  const { rows } = await store.db.$client.execute(
    `select (select count(*) from orders where run_id not in (select run_id from workflow_runs)),
       (select count(*) from workflow_runs where workflow_id = 'w' and run_id not in (select run_id from orders))`,
  );
  expect(Array.from(rows[0]!)).toEqual([0, 0]);
  expect(finished.size).toBeGreaterThan(kills * 3);
  await store.close();
}
