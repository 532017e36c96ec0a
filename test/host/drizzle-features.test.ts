import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/libsql";
import * as core from "drizzle-orm/sqlite-core";
import type * as drizzleZod from "drizzle-zod";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import type { LocalClient } from "../../src/client/local-client.ts";
import { isDrizzle1 } from "../../src/drizzle.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import { schema, stepExecutions, workflowRuns } from "../../src/schema/index.ts";
import { LibSQLStore, type HostDatabase } from "../../src/stores/libsql/libsql-store.ts";
import { createWorkflowRelationsPart } from "../../src/schema/relations-part.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const { integer, sqliteTable, text } = core;
const zodModule = isDrizzle1 ? "drizzle-orm/zod" : "drizzle-zod";
const { createInsertSchema, createSelectSchema } = (await import(zodModule)) as typeof drizzleZod;

let folder: TemporaryFolder;
let client: LocalClient;
beforeEach(async () => {
  folder = await temporaryFolder();
  client = createClient(folder.database());
  await migrate(client);
});
afterEach(async () => {
  client.close();
  await folder.remove();
});

describe("drizzle-zod on the tables", () => {
  test("reads what the store writes, and knows what may be inserted", async () => {
    const store = new LibSQLStore(drizzle({ client }));
    const run = await store.createRun({ workflowId: "w", input: { n: 1 }, tags: { a: "b" } });
    expect(createSelectSchema(workflowRuns).parse(run)).toEqual(run);
    const insertable = createInsertSchema(stepExecutions);
    expect(insertable.parse({ runId: run.runId, stepId: "s" })).toEqual({
      runId: run.runId,
      stepId: "s",
    });
    expect(insertable.safeParse({ runId: run.runId, status: "DONE" }).success).toBe(false);
  });
});

describe.each(["snake_case", "camelCase"] as const)("with the app's casing %s", (casing) => {
  test("the store finds its columns, and the app's tables have theirs", async () => {
    // Drizzle 1.0 has it in what creates the tables instead of the database.
    const creators = core as unknown as Record<string, { readonly table: typeof sqliteTable }>;
    const creator = creators[casing === "snake_case" ? "snakeCase" : "camelCase"];
    const orders = (creator?.table ?? sqliteTable)("orders", {
      orderId: text().primaryKey(),
      totalCents: integer(),
    });
    const names = casing === "snake_case" ? "order_id, total_cents" : "orderId, totalCents";
    await client.execute(`create table orders (${names})`);
    const config = isDrizzle1
      ? { relations: createWorkflowRelationsPart(schema) }
      : { casing, schema: { ...schema, orders } };
    const db = drizzle({
      client,
      ...(config as { schema: typeof schema & { orders: typeof orders } }),
    });
    const store = new LibSQLStore(db);
    await db.transaction(async (tx) => {
      await tx.insert(orders).values({ orderId: "o", totalCents: 5 });
      await store.withTransaction(tx).createRun({ runId: "r", workflowId: "w", resourceId: "o" });
    });
    await store.createStepExecution({ runId: "r", stepId: "s" });
    const found = await db.query.workflowRuns.findMany({ with: { steps: true } });
    expect(found).toMatchObject([{ resourceId: "o", steps: [{ stepId: "s" }] }]);
    expect(await db.select().from(orders).where(eq(orders.orderId, "o"))).toEqual([
      { orderId: "o", totalCents: 5 },
    ]);
  });
});

test("the app's logger is told of the app's queries, and not of what the store stores", async () => {
  const logged: string[] = [];
  const logQuery = (query: string, params: unknown[]) =>
    void logged.push(`${query} ${JSON.stringify(params)}`);
  const db = drizzle({ client, logger: { logQuery } });
  const store = new LibSQLStore(db);
  await store.createRun({ runId: "r", workflowId: "w", input: "secret" });
  await store.getRun("r");
  expect(logged).toEqual([]);
  await db.select({ runId: workflowRuns.runId }).from(workflowRuns);
  expect(logged).toHaveLength(1);
});

/** A second copy of the Drizzle that the tests run on. */
async function importCopy(change: (dialect: string) => string): Promise<typeof drizzle> {
  const root = join(import.meta.dirname, "../..");
  const installed = isDrizzle1 ? "test/drizzle-1/node_modules" : "node_modules";
  const modules = join(folder.path, "node_modules");
  await mkdir(modules);
  const copy = join(modules, "drizzle-orm");
  await cp(join(root, installed, "drizzle-orm"), copy, {
    recursive: true,
    // Thousands of other files are types, maps and CommonJS.
    filter: (path) => !/\.(d\.c?ts|map|cjs)$/.test(path),
  });
  await symlink(join(root, "node_modules/@libsql"), join(modules, "@libsql"));
  const dialect = join(copy, "sqlite-core/dialect.js");
  const source = await readFile(dialect, "utf8");
  await rm(dialect);
  await writeFile(dialect, change(source));
  const url = pathToFileURL(join(copy, "libsql/index.js")).href;
  return ((await import(/* @vite-ignore */ url)) as { drizzle: typeof drizzle }).drizzle;
}

test("a database of another version of drizzle-orm is refused, and the message says what to look for", async () => {
  const other = await importCopy((source) =>
    source.replace(/(class SQLiteDialect|SQLiteDialect = class) \{/, "$& later = 1;"),
  );
  expect(other).not.toBe(drizzle);
  const db: HostDatabase = other({ client });
  expect(() => new LibSQLStore(db)).toThrow(
    expect.objectContaining({
      code: "UNSUPPORTED",
      message: expect.stringMatching(/another version of drizzle-orm.*npm ls drizzle-orm/),
    }),
  );
});

test("a database of another copy of the same version works, as after a hot reload", async () => {
  const other = await importCopy((source) => source);
  expect(other).not.toBe(drizzle);
  const db = other({ client });
  const store = new LibSQLStore(db);
  await db.transaction(async (tx) => {
    await store.withTransaction(tx).createRun({ runId: "r", workflowId: "w" });
  });
  await db.batch([store.statements.saveState("r", "k", 1), store.statements.guard()] as never);
  expect(await store.getAllState("r")).toEqual({ k: 1 });
});
