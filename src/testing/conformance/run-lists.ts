import { expect } from "vitest";
import {
  givenRun,
  idsOf,
  listAll,
  summaryOf,
  type StoreTest,
  rejectsArgument,
} from "./environment.ts";

export function describeRunLists(test: StoreTest): void {
  test("lists are newest first, ties by UTF-8 bytes of the run id", async ({ store }) => {
    const at = new Date(1000);
    // UTF-16 would sort the last two in the opposite order.
    const ids = ["a", "b", "z", "é", "\uffee", "\u{10000}"];
    for (const runId of ids.toReversed()) await givenRun(store, { runId, createdAt: at });
    await givenRun(store, { runId: "older", createdAt: new Date(999) });
    await givenRun(store, { runId: "newer", createdAt: new Date(1001) });
    const expected = ["newer", ...ids.toReversed(), "older"];
    expect((await store.listRuns()).runs.map((run) => run.runId)).toEqual(expected);
    for (const limit of [1, 2, 3, 7, 8]) {
      expect(await listAll(store, { limit }), `limit ${limit}`).toEqual(expected);
    }
  });

  test("pages neither repeat nor omit a run", async ({ store, clock }) => {
    const ids: string[] = [];
    for (let index = 0; index < 25; index++) {
      if (index % 3 === 0) clock.advance(1);
      ids.push((await givenRun(store)).runId);
    }
    const first = await store.listRuns({ limit: 10 });
    expect(first.runs).toHaveLength(10);
    expect(first.corrupt).toEqual([]);
    // A run that is created now is newer than all later pages.
    clock.advance(1);
    await givenRun(store);
    const second = await store.listRuns({ limit: 10, cursor: first.nextCursor });
    const third = await store.listRuns({ limit: 10, cursor: second.nextCursor });
    expect(third.nextCursor).toBeNull();
    expect(
      [...first.runs, ...second.runs, ...third.runs].map((run) => run.runId).toSorted(),
    ).toEqual(ids.toSorted());
  });

  test("the cursor of the last page is null", async ({ store }) => {
    for (let index = 0; index < 4; index++) await givenRun(store);
    const { nextCursor } = await store.listRuns({ limit: 2 });
    expect((await store.listRuns({ limit: 2, cursor: nextCursor })).nextCursor).toBeNull();
    expect((await store.listRuns({ limit: 4 })).nextCursor).toBeNull();
    expect(await store.listRuns({ workflowId: "none" })).toEqual({
      runs: [],
      nextCursor: null,
      prevCursor: null,
      corrupt: [],
    });
  });

  test("pages lead back to the first one, newest first as well", async ({ store }) => {
    for (let index = 0; index < 7; index++) {
      // Two runs of each time, and one that the filter leaves out.
      const createdAt = new Date(Math.floor(index / 2));
      await givenRun(store, { runId: `r${index}`, status: "FAILED", createdAt });
    }
    await givenRun(store, { runId: "r9", createdAt: new Date(2) });
    const queries: Parameters<typeof listAll>[1][] = [
      { status: "FAILED" },
      { status: ["FAILED", "CANCELLED"] },
      { createdBefore: new Date(3), status: "FAILED" },
      {},
    ];
    for (const query of queries) {
      const all = await listAll(store, query);
      const page = async (cursor: string | null, limit = 3) => {
        const { runs, ...cursors } = await store.listRuns({ ...query, limit, cursor });
        return { ids: idsOf(runs), ...cursors };
      };
      const first = await page(null);
      expect(first).toMatchObject({ ids: all.slice(0, 3), prevCursor: null });
      const second = await page(first.nextCursor);
      expect(second.ids).toEqual(all.slice(3, 6));
      const last = await page(second.nextCursor);
      if (all.length > 6) {
        expect(last).toMatchObject({ ids: all.slice(6), nextCursor: null });
        expect(await page(last.prevCursor)).toEqual(second);
        expect((await page(last.prevCursor, 2)).ids).toEqual(all.slice(4, 6));
        expect(await page(last.prevCursor, 100)).toMatchObject({
          ids: all.slice(0, 6),
          prevCursor: null,
        });
      }
      expect(await page(second.prevCursor)).toEqual(first);
      const middle = await page(second.prevCursor, 2);
      expect(middle).toMatchObject({ ids: all.slice(1, 3) });
      expect((await page(middle.prevCursor)).ids).toEqual(all.slice(0, 1));
      expect((await page(middle.nextCursor)).ids).toEqual(second.ids);
    }
    const whole = await store.listRuns({ payloads: true, limit: 4 });
    const rest = await store.listRuns({ payloads: true, cursor: whole.nextCursor });
    const back = await store.listRuns({ payloads: true, limit: 4, cursor: rest.prevCursor });
    expect(back).toEqual(whole);
  });

  test("a page that leads back to deleted runs is the first page", async ({ store }) => {
    for (let index = 0; index < 5; index++) {
      await givenRun(store, { runId: `r${index}`, createdAt: new Date(index) });
    }
    const { nextCursor } = await store.listRuns({ limit: 2 });
    const { prevCursor } = await store.listRuns({ limit: 2, cursor: nextCursor });
    for (const runId of ["r4", "r3"]) await store.deleteRun(runId);
    const back = await store.listRuns({ limit: 2, cursor: prevCursor });
    expect(back).toEqual(await store.listRuns({ limit: 2 }));
    expect(idsOf(back.runs)).toEqual(["r2", "r1"]);
    // A run that was created since is newer than all of them.
    await givenRun(store, { runId: "r5", createdAt: new Date(9) });
    expect(idsOf((await store.listRuns({ cursor: prevCursor })).runs)).toEqual(["r5"]);
  });

  test("a page without runs leads back to the runs before it", async ({ store }) => {
    for (let index = 0; index < 4; index++) {
      await givenRun(store, { runId: `r${index}`, createdAt: new Date(index) });
    }
    const first = await store.listRuns({ limit: 3 });
    await store.deleteRun("r0");
    const empty = await store.listRuns({ limit: 3, cursor: first.nextCursor });
    expect(empty).toMatchObject({ runs: [], nextCursor: null });
    // Neither a URL nor a shell changes it.
    expect(empty.prevCursor).toMatch(/^[\w.-]+$/);
    const back = await store.listRuns({ limit: 3, cursor: empty.prevCursor });
    expect(idsOf(back.runs)).toEqual(["r3", "r2"]);
    expect(idsOf((await store.listRuns({ cursor: back.nextCursor })).runs)).toEqual(["r1"]);
  });

  test("filters are combined by and", async ({ store }) => {
    const statuses = ["PENDING", "RUNNING", "FAILED"] as const;
    for (let index = 0; index < 24; index++) {
      await givenRun(store, {
        runId: `r${String(index).padStart(2, "0")}`,
        workflowId: index % 2 === 0 ? "even" : "odd",
        status: statuses[index % 3] ?? "PENDING",
        resourceId: index % 4 === 0 ? "four" : null,
        createdAt: new Date(index),
      });
    }
    const matching = (predicate: (index: number) => boolean) =>
      Array.from({ length: 24 }, (_, index) => 23 - index)
        .filter(predicate)
        .map((index) => `r${String(index).padStart(2, "0")}`);
    const cases: [Parameters<typeof listAll>[1], (index: number) => boolean][] = [
      [{ workflowId: "even" }, (i) => i % 2 === 0],
      [{ status: "FAILED" }, (i) => i % 3 === 2],
      [{ status: ["FAILED", "PENDING", "FAILED"] }, (i) => i % 3 !== 1],
      [{ workflowId: "odd", status: ["PENDING", "RUNNING"] }, (i) => i % 2 === 1 && i % 3 !== 2],
      [{ resourceId: "four" }, (i) => i % 4 === 0],
      [{ resourceId: "four", status: ["PENDING", "FAILED"] }, (i) => i % 4 === 0 && i % 3 !== 1],
      [{ createdAfter: new Date(5), createdBefore: new Date(20) }, (i) => i >= 5 && i < 20],
      [
        { workflowId: "even", status: "RUNNING", createdAfter: new Date(4) },
        (i) => i % 2 === 0 && i % 3 === 1 && i >= 4,
      ],
    ];
    for (const [query, predicate] of cases) {
      for (const limit of [3, 100]) {
        expect(await listAll(store, { ...query, limit })).toEqual(matching(predicate));
      }
    }
  });

  test("every pair of a tag filter must match", async ({ store }) => {
    const strange = { 'quote"': "it's", "dotted.key": "[0]", __proto__x: "", ключ: "значение" };
    await givenRun(store, { runId: "none" });
    await givenRun(store, { runId: "one", tags: { a: "1" } });
    await givenRun(store, { runId: "two", tags: { a: "1", b: "2" } });
    await givenRun(store, { runId: "strange", tags: strange });
    expect(await listAll(store, { tags: { a: "1" } })).toEqual(["two", "one"]);
    expect(await listAll(store, { tags: { a: "1", b: "2" } })).toEqual(["two"]);
    expect(await listAll(store, { tags: { a: "2" } })).toEqual([]);
    expect(await listAll(store, { tags: strange })).toEqual(["strange"]);
    expect(await listAll(store, { tags: {} })).toHaveLength(4);
  });

  test("lists omit payloads unless they are requested", async ({ store }) => {
    const run = await givenRun(store, { input: { a: 1 }, output: 2, context: 3, error: 4 });
    const { runs } = await store.listRuns();
    const summary = summaryOf(run);
    expect(runs).toEqual([summary]);
    expect((await store.listRuns({ payloads: true })).runs).toEqual([run]);
  });

  test("a page is limited in bytes, and the next page continues", async ({ store, clock }) => {
    const input = "x".repeat(1024 * 1024);
    for (let index = 0; index < 6; index++) {
      clock.advance(1);
      await givenRun(store, { input });
    }
    const page = await store.listRuns({ payloads: true });
    expect(page.runs).toHaveLength(3);
    expect(page.nextCursor).not.toBeNull();
    const rest = await store.listRuns({ payloads: true, cursor: page.nextCursor });
    expect(rest.runs).toHaveLength(3);
    expect(rest.nextCursor).toBeNull();
    expect((await store.listRuns()).runs).toHaveLength(6);
  });

  test("an invalid cursor, or one of another query, is rejected", async ({ store }) => {
    for (let index = 0; index < 3; index++) await givenRun(store);
    const { nextCursor } = await store.listRuns({ limit: 1 });
    expect(nextCursor).not.toBeNull();
    const { prevCursor } = await store.listRuns({ limit: 1, cursor: nextCursor });
    expect(prevCursor).not.toBeNull();
    await rejectsArgument(store.readBundles({ cursor: prevCursor }), "cursor");
    for (const query of [
      { cursor: nextCursor, workflowId: "orders" },
      { cursor: nextCursor, status: "PENDING" as const },
      { cursor: prevCursor, workflowId: "orders" },
      { cursor: `.${prevCursor}` },
      { cursor: "nonsense" },
      { cursor: "." },
      { cursor: "" },
    ]) {
      await rejectsArgument(store.listRuns(query), "cursor");
    }
    // The limit and `payloads` may differ between pages.
    const page = await store.listRuns({ cursor: nextCursor, limit: 2, payloads: true });
    expect(page.runs).toHaveLength(2);
  });

  test("an invalid limit, status or time is rejected", async ({ store }) => {
    const bad: [Record<string, unknown>, string][] = [
      [{ limit: 0 }, "query.limit"],
      [{ limit: 1001 }, "query.limit"],
      [{ limit: 1.5 }, "query.limit"],
      [{ status: "DONE" }, "query.status"],
      [{ status: [] }, "query.status"],
      [{ createdAfter: "2026" }, "query.createdAfter"],
      [{ createdBefore: new Date(Number.NaN) }, "query.createdBefore"],
      [{ tags: { a: 1 } }, "query.tags"],
      [{ stauts: "PENDING" }, "query.stauts"],
    ];
    for (const [query, argument] of bad) {
      await rejectsArgument(store.listRuns(query), argument);
    }
  });
}
