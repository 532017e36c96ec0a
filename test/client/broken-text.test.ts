import { sql } from "drizzle-orm";
import { afterEach, describe, expect, test } from "vitest";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { attempt } from "../equivalence/operations.ts";
import { temporaryFolder } from "../support/temporary.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function openStore(place: string) {
  const folder = await temporaryFolder();
  const store = await LibSQLStore.open(place === "memory" ? ":memory:" : folder.database());
  cleanups.push(
    () => folder.remove(),
    () => store.close(),
  );
  await store.createRun({ runId: "r1", workflowId: "w", input: { é: "漢🎉" }, tags: { a: "b" } });
  await store.createRun({ runId: "r2", workflowId: "w", resourceId: "\uFFFD" });
  return store;
}

/** Bytes that are not UTF-8: each alone, cut short, overlong, a surrogate, beyond Unicode. */
const broken = ["22ff22", "228022", "22e28222", "22c0af22", "22eda08022", "22f490808022", "e9"];

describe.each(["a file", "memory"])("text that is not UTF-8, on %s", (place) => {
  test.each(broken)("is named as corrupt, whatever column has it: %s", async (bytes) => {
    const store = await openStore(place);
    for (const column of ["input", "output", "error", "tags", "workflow_id", "resource_id"]) {
      await store.db.run(
        sql.raw(
          `update workflow_runs set ${column} = cast(x'${bytes}' as text) where run_id = 'r1'`,
        ),
      );
      expect(await attempt(() => store.getRun("r1"))).toMatchObject({
        error: { code: "CORRUPT_ROW", column },
      });
      expect((await store.getRun("r2")).resourceId).toBe("\uFFFD");
      const { runs, corrupt } = await store.listRuns({ payloads: true });
      expect(runs.map(({ runId }) => runId)).toEqual(["r2"]);
      expect(corrupt).toMatchObject([{ column, key: { run_id: "r1" } }]);
      const bundles = await store.readBundles({ limit: 1 });
      expect(bundles.bundles.length + bundles.corrupt.length).toBe(1);
      await store.db.run(
        sql.raw(
          `update workflow_runs set ${column} = ${column === "workflow_id" ? "'w'" : "null"} where run_id = 'r1'`,
        ),
      );
    }
    expect((await store.getRun("r1")).workflowId).toBe("w");
  });

  test.each([
    "update workflow_state set value = cast(x'22ff22' as text)",
    "a script",
    "a transaction",
  ])("is found in the children, too: %s", async (way) => {
    const store = await openStore(place);
    await store.saveState("r1", "k", 1);
    await store.saveStepOutput("r1", "s", 1);
    const text =
      "update workflow_state set value = cast(x'22ff22' as text); update step_outputs set output = json_extract('\"\\ud800\"', '$')";
    const { $client: client } = store.db;
    if (way === "a transaction") {
      const transaction = await client.transaction("write");
      for (const each of text.split(";")) await transaction.execute(each);
      await transaction.commit();
    } else await client.executeMultiple(text);
    expect(await attempt(() => store.loadState("r1", "k"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    expect(await attempt(() => store.loadStepOutput("r1", "s"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    expect((await store.readBundles()).corrupt).toHaveLength(1);
  });

  test("is told apart from text with a NUL and from every legal text", async () => {
    const store = await openStore(place);
    await store.db.run(
      sql.raw("update workflow_runs set tags = 'a' || char(0) || 'b' where run_id = 'r1'"),
    );
    expect(await attempt(() => store.getRun("r1"))).toMatchObject({
      error: { code: "CORRUPT_ROW" },
    });
    await store.db.run(
      sql.raw(`update workflow_runs set tags = '{"a":"' || char(233) || '"}' where run_id = 'r1'`),
    );
    const run = await store.getRun("r1");
    expect([run.input, run.tags, run.output]).toEqual([{ é: "漢🎉" }, { a: "é" }, null]);
  });
});
