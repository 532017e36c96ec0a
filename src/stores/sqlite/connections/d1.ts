import type { Client } from "@libsql/client";
import { maxUnionTerms } from "../../../drivers/cloudflare.ts";
import { batchD1, queryD1, type D1Client } from "../../../drivers/d1.ts";
import type { DriverResult, DriverStatement } from "../../../drivers/sync-database.ts";
import { StoreBusyError, UnsupportedError } from "../../../errors.ts";
import type { BoundStatement } from "../statements/statement.ts";
import type { Connection, Queries } from "./connection.ts";
import { RemoteConnection } from "./remote.ts";
import { checkSizes, nameLargest } from "./row-sizes.ts";

/** How often a snapshot begins again because the database has changed. */
const maxSnapshots = 10;

/**
 * A connection on a D1 binding, which has batches and no interactive transactions.
 *
 * Each store has its own, because a request of a Worker must not wait for the input and output of another one.
 */
export class D1Connection extends RemoteConnection {
  readonly hasTransactions = false;
  readonly maxUnionTerms = maxUnionTerms;

  constructor(client: D1Client) {
    super(asLibSQL(client));
  }

  override async write(...[statements, options]: Parameters<Connection["write"]>) {
    checkSizes(statements);
    return super.write(statements, options).catch(nameLargest(statements));
  }

  override async writeGuarded(...[statements, options]: Parameters<Connection["write"]>) {
    checkSizes(statements);
    return super.writeGuarded(statements, options).catch(nameLargest(statements));
  }

  /**
   * Reads what the queries ask for, one after the other, and then everything again in one batch. The results of the batch
   * are of one snapshot. If the queries ask for something else with them, there is another batch.
   */
  override async snapshot<T>(queries: () => Queries<T>): Promise<T> {
    let batch: BoundStatement[] = [];
    for (let attempts = 0; attempts < maxSnapshots; attempts++) {
      const found = batch.length === 0 ? [] : await this.read(batch);
      const asked: BoundStatement[] = [];
      let requests = batch.length === 0 ? 0 : 1;
      const steps = queries();
      let step = steps.next();
      while (step.done !== true) {
        const start = asked.length;
        asked.push(...step.value);
        if (step.value.every((each, index) => isSame(each, batch[start + index]))) {
          step = steps.next(found.slice(start, asked.length));
          continue;
        }
        // These results are of another moment, and so are all later ones.
        batch = [];
        requests += 1;
        step = steps.next(await this.read(step.value));
      }
      if (requests <= 1) return step.value;
      batch = asked;
    }
    throw new StoreBusyError(
      `a large run changed during each of ${maxSnapshots} attempts to read it`,
    );
  }

  override async transaction(): Promise<never> {
    throw new UnsupportedError({
      feature: "transaction",
      reason: "D1 has no interactive transactions: use `batch`",
    });
  }
}

function isSame(one: BoundStatement, other: BoundStatement | undefined): boolean {
  return (
    one.sql === other?.sql && one.args.every((argument, index) => argument === other.args[index])
  );
}

/**
 * A write without RETURNING. The number of changes that D1 reports includes those of triggers, so that of a write that a
 * trigger left out may not be 0. The number of returned rows is exact.
 */
const isUncountedWrite = /^(?:insert|update|delete)\b(?![^]*\breturning\b)/i;

/** The parts of a libSQL client that `RemoteConnection` uses. */
function asLibSQL(client: D1Client): Client {
  return {
    protocol: "http",
    execute: async (statement: DriverStatement) => resultOf(await queryD1(client, statement)),
    async batch(statements: readonly DriverStatement[]) {
      const counted = statements.map(({ sql }) => isUncountedWrite.test(sql));
      const results = await batchD1(
        client,
        statements.map(({ sql, args }, index) => ({
          sql: counted[index] === true ? `${sql} returning 1` : sql,
          args,
        })),
      );
      return results.map((result, index) =>
        resultOf(counted[index] === true ? { rows: [], changes: result.rows.length } : result),
      );
    },
  } as unknown as Client;
}

function resultOf({ rows, changes }: DriverResult) {
  return { rows, rowsAffected: changes };
}
