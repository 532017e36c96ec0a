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

test.each([
  "cast(x'61ff' as text)",
  "cast(x'ff' as text)",
  "cast(x'' as text)",
  "x'61ff'",
  "x'0061'",
  "x''",
  "'a' || char(0) || 'b'",
  "char(0)",
])("pages continue behind a run whose id is %s", async (id) => {
  const store = await LibSQLStore.open(":memory:");
  const createdAt = new Date("2026-01-01T00:00:00Z");
  for (const runId of ["A", "b", "wrong", "é"]) {
    await store.createRun({ runId, workflowId: "w", createdAt });
  }
  await store.saveState("A", "k", 1);
  await store.db.run(sql.raw(`update workflow_runs set run_id = ${id} where run_id = 'wrong'`));
  const lists = { runs: [] as string[], bundles: [] as string[] };
  let corrupt = 0;
  for (const [kind, seen] of Object.entries(lists)) {
    let cursor: string | null = null;
    for (let pages = 0; pages < 4; pages++) {
      const page: { ids: string[]; corrupt: readonly unknown[]; nextCursor: string | null } =
        kind === "runs"
          ? await store.listRuns({ limit: 1, cursor }).then((found) => ({
              ...found,
              ids: found.runs.map(({ runId }) => runId),
            }))
          : await store.readBundles({ limit: 1, cursor }).then((found) => ({
              ...found,
              ids: found.bundles.map(({ run }) => run.runId),
            }));
      seen.push(...page.ids);
      corrupt += page.corrupt.length;
      cursor = page.nextCursor;
    }
    expect(cursor).toBeNull();
  }
  expect(lists).toEqual({ runs: ["é", "b", "A"], bundles: ["A", "b", "é"] });
  expect(corrupt).toBe(2);
  await store.close();
});

test("a prune deletes orphans whose keys are broken text", async () => {
  const store = await LibSQLStore.open(":memory:");
  const keys = ["'a'", "cast(x'61ff' as text)", "'z' || char(0)"];
  const script = keys
    .map((key) => `insert into workflow_state values (${key}, ${key}, '1', 1, 1);`)
    .join("");
  await store.db.$client.executeMultiple(`pragma foreign_keys = off; ${script}`);
  expect(await store.pruneRuns({ olderThan: new Date(0) })).toMatchObject({ deletedOrphans: 3 });
  await store.close();
});
