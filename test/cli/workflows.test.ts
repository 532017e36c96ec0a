import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { test } from "../support/fixtures.ts";
import { setUpCommand, setUpServer } from "./support.ts";

const command = setUpCommand();
const server = setUpServer();

async function print(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await command.run(args);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout;
}

test.for(["a file", "a server"])(
  "on %s, a workflow is paused, shown and resumed",
  async (place) => {
    const database = place === "a file" ? command.folder.database() : server.httpUrl;
    const store = await LibSQLStore.open(database);
    const claim = () => store.claimRuns({ workerId: "w", leaseMs: 60_000, limit: 10 });
    const { runId } = await store.createRun({ workflowId: "orders", workflowVersion: "2" });
    const at = ["-d", database] as const;

    const args = ["workflows", "pause", "orders", ...at] as const;
    expect(await print(...args, "--reason", "the bank\u001B[2J is down")).toBe(
      "orders is paused\n",
    );
    expect(await print(...args)).toBe("orders was already paused\n");
    expect(await claim()).toEqual([]);
    const idle = await command.run(["workflows", "pause", "idle", ...at]);
    expect(idle).toMatchObject({ code: 0, stdout: "idle is paused\n" });
    expect(idle.stderr).toBe("there is no run of idle: check the id\n");
    expect(await command.answer(["workflows", ...at])).toMatchObject([
      {
        workflowId: "orders",
        workflowVersion: "2",
        ready: 1,
        pausedAt: expect.any(String) as unknown,
        reason: expect.stringContaining("the bank") as unknown,
      },
      { workflowId: "idle", workflowVersion: null, ready: 0, reason: null },
    ]);
    const listed = await print("workflows", "list", ...at);
    expect(listed).toMatch(/^orders +2 +1 +0 .*since 20\S+: the bank\\u001b\[2J is down$/m);
    expect(listed).toMatch(/^idle +- +0 +0 +- +since 20\S+$/m);
    const why = await print("runs", "why", runId, ...at);
    expect(why).toMatch(
      /^its workflow is paused since 20\S+: the bank.*; otherwise, it waits for/m,
    );
    expect(why).toContain("gorkflow workflows resume orders ends the pause");
    expect(await command.answer(["runs", "why", runId, ...at])).toMatchObject({
      pause: { workflowId: "orders" },
    });

    const resume = ["workflows", "resume", "orders", ...at];
    expect(await command.answer(resume)).toEqual({ workflowId: "orders", changed: true });
    expect(await command.answer(resume)).toEqual({ workflowId: "orders", changed: false });
    expect(await print("runs", "why", runId, ...at)).not.toContain("paused");
    expect(await claim()).toMatchObject([{ runId }]);
    await store.resumeWorkflow("idle");
    await store.deleteRun(runId);
    expect(await print("workflows", ...at)).toBe(
      "no run waits for a worker, and no workflow is paused\n",
    );
    await store.close();
  },
);

test("a database that was not migrated is refused, and an invalid id is", async () => {
  const database = command.folder.database();
  await (await LibSQLStore.open(database)).close();
  const invalid = await command.run(["workflows", "pause", "", "-d", database]);
  expect([invalid.code, invalid.stderr]).toEqual([2, expect.stringContaining("workflowId")]);
  const store = await LibSQLStore.open(database);
  await store.db.run("drop table workflow_pauses");
  await store.close();
  const outdated = await command.run(["workflows", "-d", database]);
  expect(outdated.code).toBe(1);
  expect(outdated.stderr).toContain("the database lacks workflow_pauses: run `gorkflow migrate`");
});

test("a command that does not exist is refused by its name", async () => {
  const args = ["workflows", "puase", "orders", "--reason", "a typo"];
  const { code, stderr } = await command.run(args);
  expect([code, stderr]).toEqual([2, expect.stringContaining("unknown command 'puase'")]);
});

/** A module of an app, in TypeScript. */
const module = `
const step = (id: string, name: string | null) => ({ index: 0, definition: { id, name, description: null } });
export const orders = {
  id: "orders", version: "2", name: "Orders", description: "Charges and ships an order.\\nTwo lines.",
  plan: { stages: [{ parallel: false, steps: [step("charge", "Charge the card"), step("ship", null)] }] },
};
export default [{ id: "mails", version: "1", name: null, description: null, plan: { stages: [] } }];
export const other = 5;
`;

test("names and descriptions are those of a module of definitions", async () => {
  await writeFile(join(command.folder.path, "workflows.ts"), module);
  const others = `
    export const orders = { id: "orders" };
    export const env = new Proxy({}, { get() { throw new Error("not set up"); } });
    export const plan = { id: "pro", version: "1", plan: { stages: [null] } };`;
  await writeFile(join(command.folder.path, "other.js"), others);
  const database = command.folder.database();
  const store = await LibSQLStore.open(database);
  const { runId } = await store.createRun({ workflowId: "orders", workflowVersion: "1" });
  for (const stepId of ["charge", "ship"]) await store.createStepExecution({ runId, stepId });
  await store.close();

  const options = ["-d", database, "--definitions", "./workflows.ts"] as const;
  const shown = await print("runs", "show", runId, ...options);
  expect(shown).toMatch(/^name +Orders$/m);
  expect(shown).toContain("Charges and ships an order.");
  expect(shown).toMatch(/^charge \(Charge the card\) +PENDING/m);
  expect(shown).toMatch(/^ship +PENDING/m);
  const listed = await print("workflows", ...options);
  expect(listed).toMatch(/^orders +1 +Orders +Charges and ships an order\. +1 /m);
  expect(listed).toMatch(/^orders +2 +Orders .* 0 +0 /m);
  expect(listed).toMatch(/^mails +1 +- +- +0 +0 /m);

  for (const [file, code] of [
    ["./other.js", "DEFINITIONS_MISSING"],
    ["./missing.js", "MODULE_UNLOADABLE"],
  ] as const) {
    const args = ["workflows", "-d", database, "--definitions", file, "--json"];
    const refused = await command.run(args);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code } });
    expect(refused.code).not.toBe(0);
  }
});

test("a module of definitions may print and stay open, and is reported if it ends the process", async () => {
  const noisy = `console.log("of the module"); setInterval(() => {}, 1000);\n${module}`;
  await writeFile(join(command.folder.path, "noisy.ts"), noisy);
  await writeFile(join(command.folder.path, "exits.js"), "process.exit(0);");
  const database = command.folder.database();
  await (await LibSQLStore.open(database)).close();
  const args = (file: string) => ["workflows", "-d", database, "--definitions", file, "--json"];
  const listed = await command.run(args("./noisy.ts"));
  expect(listed).toMatchObject({ code: 0, stderr: "of the module\n" });
  expect(JSON.parse(listed.stdout)).toHaveLength(2);
  const ended = await command.run(args("./exits.js"));
  expect([ended.code, JSON.parse(ended.stderr)]).toMatchObject([
    1,
    { error: { code: "MODULE_EXITED" } },
  ]);
});
