import { sql } from "drizzle-orm";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { Engine } from "../../../src/engine/engine.ts";
import { defineWorkflow } from "../../../src/engine/definition/workflow-builder.ts";
import { StoreConnectionError } from "../../../src/errors.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { startSqld, type Sqld } from "../../support/sqld.ts";

let server: Sqld;
beforeAll(async () => {
  server = await startSqld();
});
afterAll(() => server.stop());

const schemes = ["httpUrl", "webSocketUrl"] as const;

async function open(scheme: (typeof schemes)[number]): Promise<LibSQLStore> {
  const store = await LibSQLStore.open(server[scheme]);
  onTestFinished(() => store.close());
  await store.db.run(sql`drop table if exists effects`);
  await store.db.run(sql`create table effects (amount integer)`);
  return store;
}

const countEffects = async (store: LibSQLStore): Promise<unknown> =>
  (await store.db.all<{ count: number }>(sql`select count(*) as count from effects`))[0]?.count;

describe.each(schemes)("over %s", (scheme) => {
  test.each([
    ["as the driver says it", (error: unknown) => error],
    ["as the app says it", () => new Error("not paid")],
  ])("a transaction that is lost under its work is the store's failure, %s", async (_, rethrow) => {
    const store = await open(scheme);
    const outcome = store.hostTransaction(async (transaction) => {
      await transaction.run(sql`insert into effects values (4111)`);
      await server.restart();
      try {
        await transaction.run(sql`insert into effects values (4111)`);
      } catch (error) {
        throw rethrow(error);
      }
    });
    const error: unknown = await outcome.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreConnectionError);
    expect(error).toMatchObject({ retryable: true, outcome: "none", cause: expect.any(Error) });
    expect((error as Error).message + String((error as Error).cause)).not.toContain("4111");
    expect(await countEffects(store)).toBe(0);
  });

  test("what the work throws by itself stays its own, and so does taking too long", async () => {
    const store = await open(scheme);
    const mine = new TypeError("mine");
    const outcome = store.hostTransaction(async (transaction) => {
      await transaction.run(sql`insert into effects values (1)`);
      throw mine;
    });
    await expect(outcome).rejects.toBe(mine);
    const late = Object.assign(new Error("late"), { code: "TRANSACTION_TIMEOUT" });
    await expect(store.hostTransaction(() => Promise.reject(late))).rejects.toBe(late);
    expect(await countEffects(store)).toBe(0);
  });

  test("a step whose transaction was lost has it run again, in the same attempt", async () => {
    const store = await open(scheme);
    let calls = 0;
    const pay = defineStep({
      id: "pay",
      input: z.number(),
      output: z.number(),
      run: (amount, ctx) =>
        ctx.transaction(async (tx) => {
          calls += 1;
          await tx.run(sql`insert into effects values (${amount})`);
          if (calls === 1) await server.restart();
          await tx.run(sql`update effects set amount = amount + 1`);
          return ctx.attempt;
        }),
    });
    const engine = new Engine(store);
    const run = await engine.run(defineWorkflow({ id: "w" }).step(pay).build(), 7);
    await engine.close();
    expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
    expect(calls).toBe(2);
    expect(await countEffects(store)).toBe(1);
  });
});
