import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";

test("rows that SQL has written wrong are named, and lists and bundles walk past them", async () => {
  const store = await LibSQLStore.open(":memory:");
  const wrong: Record<string, string> = {
    a: "created_at = 1.5",
    b: "created_at = 'yesterday'",
    c: "created_at = x'00'",
    d: "created_at = 9e999",
    e: "input = '[1e999]'",
    f: "input = '-0'",
    g: "input = '9007199254740993'",
    h: "created_at = -9e999",
  };
  const names = [...Object.keys(wrong), "right-1", "right-2"];
  for (const runId of names) await store.createRun({ runId, workflowId: "w", input: 1 });
  for (const [runId, change] of Object.entries(wrong)) {
    await store.db.run(sql.raw(`update workflow_runs set ${change} where run_id = '${runId}'`));
  }
  const walk = async (limit: number, kind: "list" | "bundles") => {
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let pages = 0; pages < 30; pages++) {
      const query = { limit, cursor };
      const page: { ids: string[]; nextCursor: string | null } =
        kind === "list"
          ? await store.listRuns({ ...query, payloads: true }).then((found) => ({
              ids: [
                ...found.runs,
                ...found.corrupt.map(({ key }) => ({ runId: `!${key["run_id"]}` })),
              ].map(({ runId }) => runId),
              nextCursor: found.nextCursor,
            }))
          : await store.readBundles(query).then((found) => ({
              ids: [
                ...found.bundles.map(({ run }) => run.runId),
                ...found.corrupt.map(({ key }) => `!${key["run_id"]}`),
              ],
              nextCursor: found.nextCursor,
            }));
      for (const id of page.ids) seen.push(id);
      cursor = page.nextCursor;
      if (cursor === null) break;
    }
    return seen.toSorted();
  };
  const expected = [...Object.keys(wrong).map((id) => `!${id}`), "right-1", "right-2"].toSorted();
  for (const limit of [1, 3, 100]) {
    expect(await walk(limit, "list")).toEqual(expected);
    expect(await walk(limit, "bundles")).toEqual(expected);
  }
  await store.close();
});
