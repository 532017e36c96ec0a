import { expect } from "vitest";
import * as z from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { NewWorkflowRun } from "../../src/schema/rows.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();

const secret = "SECRET-PAYLOAD";

const charge = defineStep({
  id: "charge",
  input: z.string(),
  output: z.string(),
  retry: { maxRetries: 6, backoff: "none" },
  run: () => {
    throw new Error("the card\nwas declined ".padEnd(3000, "x"), {
      cause: Object.assign(new Error("no answer"), { code: "ETIMEDOUT" }),
    });
  },
});
const audit = defineStep({
  id: "audit",
  input: z.string(),
  output: z.string(),
  continueOnError: true,
  run: () => {
    throw new Error("the audit log is full");
  },
});

async function why(store: LibSQLStore, database: string, run: Partial<NewWorkflowRun>) {
  const { runId } = await store.createRun({ workflowId: "w", ...run });
  const { code, stdout } = await command.run(["runs", "why", runId, "-d", database]);
  expect(code).toBe(0);
  return stdout;
}

test.for(["a file", "a server"])("on %s, a failure is explained on one screen", async (place) => {
  const database = place === "a file" ? command.folder.database() : server.httpUrl;
  const store = await LibSQLStore.open(database);
  const engine = new Engine(store);
  const workflow = defineWorkflow({ id: "orders" }).parallel(audit, charge).build();
  const { runId } = await engine.run(workflow, secret);
  await engine.close();

  const args = ["runs", "why", runId, "-d", database];
  const { code, stdout, stderr } = await command.run(args);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`run ${runId} of orders (version 1)`);
  expect(stdout).toContain("step charge failed in attempt 7");
  expect(stdout).toContain("Error: the card was declined");
  expect(stdout).toContain("caused by Error [ETIMEDOUT]: no answer");
  expect(stdout).toMatch(/^3 .*FAILED/m);
  expect(stdout).toContain("and 2 earlier attempts of charge");
  expect(stdout).toContain("step audit is FAILED: Error: the audit log is full");
  expect(stdout).toContain(`gorkflow runs retry ${runId} continues with charge`);
  const lines = stdout.split("\n").flatMap((line) => line.match(/.{1,100}/g) ?? [""]);
  expect(lines.length).toBeLessThanOrEqual(24);

  const all = await command.run([...args, "--json"]);
  expect(JSON.parse(all.stdout)).toMatchObject({
    run: { runId, status: "FAILED" },
    reason: "step charge failed in attempt 7",
    step: { stepId: "charge" },
    error: { message: expect.stringContaining("declined") },
    attempts: Array.from({ length: 7 }, (_, index) => ({ attempt: index + 1 })),
    others: [{ stepId: "audit" }],
  });
  for (const shown of [stdout, all.stdout]) expect(shown).not.toContain(secret);
  const show = await command.run(["runs", "show", runId, "-d", database]);
  expect(show.stdout).not.toContain(secret);
  await store.deleteRun(runId);
  await store.close();
});

test("ids are quoted in commands to copy", async () => {
  const database = command.folder.database();
  const store = await LibSQLStore.open(database);
  await store.createRun({ runId: "it's $1", workflowId: "w", status: "FAILED" });
  const { stdout } = await command.run(["runs", "why", "it's $1", "-d", database]);
  expect(stdout).toContain(String.raw`gorkflow runs retry 'it'\''s $1' continues`);
  await store.close();
});

test("a run that has not failed is explained too", async () => {
  const database = command.folder.database();
  const store = await LibSQLStore.open(database);
  const past = new Date(Date.now() - 3_600_000);
  expect(await why(store, database, { status: "COMPLETED" })).toContain("did not fail");
  expect(await why(store, database, {})).toContain("it waits for a worker of w version 1");
  const wakeAt = new Date(Date.now() + 3_600_000);
  expect(await why(store, database, { wakeAt })).toContain("it continues at");
  expect(await why(store, database, { status: "CANCELLED" })).toContain("it was cancelled");
  const held = { status: "RUNNING", workerId: "w1" } as const;
  expect(await why(store, database, held)).toContain("worker w1 executes it");
  expect(await why(store, database, { ...held, claimedAt: past })).toMatch(
    /worker w1 executes it since \d{4}-/,
  );
  expect(await why(store, database, { ...held, leaseExpiresAt: past })).toContain(
    "its lease expired 1 h 0 min ago",
  );
  const error = { code: "RUN_TIMEOUT", message: "it took too long" };
  expect(await why(store, database, { status: "FAILED", error })).toContain(
    "the run failed outside of its steps\n\nError [RUN_TIMEOUT]: it took too long",
  );
  // An app may store any error.
  expect(await why(store, database, { status: "FAILED", error: "odd" })).toContain('"odd"');
  await store.close();
  const missing = await command.run(["runs", "why", "none", "-d", database]);
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("run none")]);
});

test("a run with an unreadable payload is shown without it", async () => {
  const database = command.folder.database();
  const store = await LibSQLStore.open(database);
  const { runId } = await store.createRun({ workflowId: "w", status: "FAILED", error: "e" });
  await store.db.$client.execute("update workflow_runs set input = '{'");
  await store.close();
  const answers = async (...args: string[]) => (await command.run([...args, "-d", database])).code;
  expect(await answers("runs", "show", runId)).toBe(0);
  expect(await answers("runs", "why", runId)).toBe(0);
  expect(await answers("runs", "show", runId, "--payloads")).toBe(1);
});
