import { afterEach, beforeEach, describe, expect, vi } from "vitest";
import * as z from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { Engine } from "../../src/engine/engine.ts";
import { CorruptRowError } from "../../src/errors.ts";
import { operationNames } from "../../src/store/operations.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../src/stores/libsql/libsql-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { longestReadMs } from "../../src/studio/answers.ts";
import { longestPollMs } from "../../src/studio/live.ts";
import { createStudio } from "../../src/studio/studio.ts";
import type { RunTrace, Studio } from "../../src/studio/options.ts";
import { withToken } from "../../src/studio/token.ts";
import { migratedDatabase } from "../support/databases.ts";
import { test } from "../support/fixtures.ts";
import { get, host, post } from "./support/requests.ts";

/** A store that counts the calls of its operations. */
function counted<Store extends WorkflowStore>(store: Store) {
  const calls: string[] = [];
  const names = new Set<string | symbol>(operationNames);
  const proxy = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (!names.has(name) || typeof value !== "function") return value;
      return (...args: unknown[]) => {
        calls.push(String(name));
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
  return { store: proxy, calls };
}

const pack = defineStep({
  id: "pack",
  input: z.object({ order: z.number() }),
  output: z.object({ boxes: z.number() }),
  run: async ({ order }, { state }) => {
    await state.set("note", `order ${order}`);
    return { boxes: order };
  },
});
const ship = defineStep({
  id: "ship",
  input: z.object({ boxes: z.number() }),
  output: z.object({ sent: z.boolean() }),
  retry: { maxRetries: 1, delayMs: 1 },
  run: async ({ boxes }) => {
    if (boxes > 2) {
      throw new Error("the van is full", { cause: new Error("no more vans") });
    }
    return { sent: true };
  },
});
const delivery = defineWorkflow({ id: "delivery", version: "1" }).step(pack).step(ship).build();

/** Orders 1 and 2 are delivered, order 3 fails, and order 4 waits for a worker. */
async function deliver(store: WorkflowStore) {
  const engine = new Engine(store);
  for (const order of [1, 2, 3]) {
    await engine.run(delivery, { order }, { tags: { order: String(order) }, resourceId: "depot" });
  }
  await engine.close();
  const waiting = await store.createRun({ workflowId: "delivery", input: { order: 4 } });
  const { runs } = await store.listRuns({ status: "FAILED" });
  return { waiting: waiting.runId, failed: runs[0]?.runId ?? "" };
}

describe.each(["a file", "a server"])("on %s", (place) => {
  let store: LibSQLStore;
  test.beforeEach(async ({ folder, server }) => {
    store = await LibSQLStore.open(
      place === "a file" ? await migratedDatabase(folder) : server.httpUrl,
    );
    for (const { runId } of (await store.listRuns()).runs) await store.deleteRun(runId);
  });
  afterEach(() => store.close());

  test("runs are listed by every filter and by page, and found by id", async () => {
    const { failed } = await deliver(store);
    const studio = createStudio(store);
    const idsOf = async (query: string) => {
      const { body } = await get(studio, `runs?${query}`);
      return (body["runs"] as { runId: string }[]).map(({ runId }) => runId);
    };
    const all = await idsOf("");
    expect(all).toHaveLength(4);
    expect(await idsOf("status=FAILED&status=CANCELLED")).toEqual([failed]);
    expect(await idsOf("workflow=delivery&resource=depot")).toHaveLength(3);
    expect(await idsOf("tag=order%3D3")).toEqual([failed]);
    expect(await idsOf("after=2100-01-01T00:00:00Z")).toEqual([]);
    expect(await idsOf("before=2100-01-01T00:00:00Z")).toEqual(all);
    const first = await get(studio, "runs?limit=3");
    const second = await get(studio, `runs?limit=3&cursor=${String(first.body["nextCursor"])}`);
    expect(second.body).toMatchObject({ runs: [{ runId: all[3] }], nextCursor: null });
    expect(second.body["prevCursor"]).toEqual(expect.any(String));
    expect(await get(studio, `find?id=${failed}`)).toMatchObject({ status: 200 });
    expect(await get(studio, "find?id=nobody")).toMatchObject({
      status: 404,
      body: { error: { code: "RUN_NOT_FOUND" } },
    });
    expect((await get(studio, "counts")).body["counts"]).toEqual(await store.countRuns());
  });

  test("a run is shown with its steps, attempts, payloads and errors with causes", async () => {
    const { failed } = await deliver(store);
    const studio = createStudio(store);
    const { body } = await get(studio, `run?id=${failed}`);
    expect(body).toMatchObject({
      run: {
        value: {
          runId: failed,
          status: "FAILED",
          tags: { order: "3" },
          payloads: { input: { text: '{\n  "order": 3\n}' } },
        },
      },
      steps: {
        value: [
          { stepId: "pack", status: "COMPLETED", error: null },
          { stepId: "ship", status: "FAILED", attempt: 2 },
        ],
      },
      attempts: { value: [{ stepId: "ship", attempt: 1 }, { attempt: 2 }] },
      state: { value: { text: '{\n  "note": "order 3"\n}' } },
    });
    const { error } = (
      body["run"] as { value: { error: { text: string; causes: readonly string[] } } }
    ).value;
    expect(error.causes).toEqual([
      expect.stringMatching(/: the van is full$/),
      expect.stringMatching(/: no more vans$/),
    ]);
    expect(JSON.parse(error.text)).toMatchObject({
      message: "the van is full",
      cause: { message: "no more vans" },
    });
    expect((await get(studio, `step?id=${failed}&step=ship`)).body).toMatchObject({
      input: { value: { text: '{\n  "boxes": 3\n}' } },
      output: { value: null },
    });
    expect((await get(studio, `step?id=${failed}&step=pack`)).body).toMatchObject({
      output: { value: { text: '{\n  "boxes": 3\n}' } },
    });
    const payload = await studio.fetch(
      new Request(`${host}/api/payload?id=${failed}&kind=input&step=ship&download=1`),
    );
    expect(payload.headers.get("content-disposition")).toBe('attachment; filename="input.json"');
    expect(await payload.json()).toEqual({ boxes: 3 });
  });

  test("reports, the schema and the doctor's findings are read", async () => {
    await deliver(store);
    const studio = createStudio(store);
    expect((await get(studio, "meta")).body).toEqual({
      readOnly: false,
      hasReports: true,
      workflows: [],
    });
    expect((await get(studio, "report?name=reliability")).body["rows"]).toEqual([
      expect.objectContaining({ stepId: "pack", failed: 0 }),
      expect.objectContaining({ stepId: "ship", failed: 1, retries: 1 }),
    ]);
    const csv = await studio.fetch(new Request(`${host}/api/report.csv?name=throughput&per=month`));
    expect(csv.headers.get("content-type")).toBe("text/csv; charset=utf-8");
    expect((await csv.text()).split("\n")).toEqual([
      "bucketStart,workflowId,created,completed,failed,cancelled",
      expect.stringMatching(/^\S+Z,delivery,4,2,1,0$/),
      "",
    ]);
    expect((await get(studio, "report?name=absent")).status).toBe(404);
    expect((await get(studio, "report?name=throughput&per=year")).status).toBe(400);
    const { body: schema } = await get(studio, "schema");
    expect(schema).toMatchObject({ migrations: { value: { state: "current" } } });
    expect(schema["tables"]).toContainEqual(
      expect.objectContaining({
        name: "step_executions",
        references: [{ from: ["run_id"], to: "workflow_runs" }],
      }),
    );
    expect((await get(studio, "doctor")).body).toEqual({ healthy: true, findings: [] });
  });

  test("runs are retried, cancelled and deleted", async () => {
    const { failed, waiting } = await deliver(store);
    const studio = createStudio(store);
    const statusOf = async (runId: string) => (await store.findRun(runId))?.status ?? null;
    expect((await post(studio, "retry", { runId: failed })).status).toBe(200);
    expect(await statusOf(failed)).toBe("PENDING");
    expect(await post(studio, "retry", { runId: failed })).toMatchObject({
      status: 409,
      body: { error: { code: "RUN_TRANSITION" } },
    });
    expect((await post(studio, "cancel", { runId: failed })).status).toBe(200);
    expect((await post(studio, "retry", { runId: failed, fromStep: "ship" })).status).toBe(200);
    expect(await store.listStepExecutions(failed)).toMatchObject([
      { stepId: "pack", status: "COMPLETED" },
      { stepId: "ship", status: "PENDING" },
    ]);
    expect((await post(studio, "cancel", { runId: waiting })).status).toBe(200);
    expect(await statusOf(waiting)).toBe("CANCELLED");
    expect((await post(studio, "delete", { runId: waiting })).status).toBe(200);
    expect(await statusOf(waiting)).toBe(null);
    expect((await post(studio, "delete", { runId: waiting })).status).toBe(404);
  });

  test("all runs that match are changed after a preview", async () => {
    const { failed, waiting } = await deliver(store);
    const studio = createStudio(store);
    const bulk = async (action: string, filter: object, dryRun = false) =>
      (await post(studio, "bulk", { action, filter, dryRun })).body;
    const all = { workflowId: "delivery" };
    expect(await bulk("cancel", all, true)).toMatchObject({ dryRun: true, changedRuns: 1 });
    expect((await store.getRun(waiting)).status).toBe("PENDING");
    expect(await bulk("cancel", all)).toMatchObject({ dryRun: false, changedRuns: 1 });
    expect((await store.getRun(waiting)).status).toBe("CANCELLED");
    expect(await bulk("retry", { ...all, status: ["FAILED"], tags: { order: "3" } })).toMatchObject(
      { changedRuns: 1 },
    );
    expect((await store.getRun(failed)).status).toBe("PENDING");
    expect(
      await bulk("delete", { status: ["COMPLETED"], createdAfter: "2100-01-01T00:00:00Z" }),
    ).toMatchObject({ changedRuns: 0 });
    expect(await bulk("delete", { resourceId: "depot", status: ["COMPLETED"] })).toMatchObject({
      changedRuns: 2,
      refused: [],
    });
  });

  test("a row that cannot be read hides no other part of a page", async () => {
    const { failed } = await deliver(store);
    await store.db.$client.execute({
      sql: "update workflow_runs set input = 'broken' where run_id = ?",
      args: [failed],
    });
    await store.db.$client.execute({
      sql: "update step_attempts set error = 'broken' where run_id = ?",
      args: [failed],
    });
    const { body } = await get(createStudio(store), `run?id=${failed}`);
    expect(body).toMatchObject({
      run: {
        value: { runId: failed, payloads: null, unreadable: { code: "CORRUPT_ROW" } },
      },
      steps: { value: [{ stepId: "pack" }, { stepId: "ship" }] },
      attempts: { error: { code: "CORRUPT_ROW" } },
    });
  });
});

describe("every change is refused", () => {
  let calls: string[];
  let store: MemoryStore;
  const changes = ["cancel", "retry", "delete", "bulk", "pause", "resume"];
  beforeEach(() => {
    ({ store, calls } = counted(new MemoryStore()));
  });

  test.each(changes)("%s, by a studio that is read-only", async (path) => {
    const studio = createStudio(store, { readOnly: true });
    expect(await post(studio, path, { runId: "r" })).toMatchObject({
      status: 403,
      body: { error: { code: "READ_ONLY" } },
    });
    expect(calls).toEqual([]);
  });

  test.each(["PUT", "PATCH", "DELETE", "OPTIONS"])("by the method %s", async (method) => {
    const json = { "content-type": "application/json" };
    for (const path of ["/api/delete", "/api/runs", "/"]) {
      for (const headers of [json, {}]) {
        const studio = createStudio(store);
        const { status } = await studio.fetch(new Request(host + path, { method, headers }));
        expect(status).toBe(405);
      }
    }
    expect(calls).toEqual([]);
  });

  test.each([
    ["another origin", { origin: "https://evil.example" }],
    ["another port", { origin: "http://localhost:3000" }],
    ["a page without an origin", { origin: "null" }],
    ["another site", { "sec-fetch-site": "cross-site" }],
    ["a page of the same site", { "sec-fetch-site": "same-site" }],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["a form that imitates JSON", { "content-type": "text/plain" }],
    ["another type that begins with JSON", { "content-type": "application/json-patch+json" }],
  ] as const)("of %s", async (_, headers) => {
    const studio = createStudio(store);
    for (const path of changes) {
      const { status } = await post(studio, path, { runId: "r" }, headers);
      expect([403, 415]).toContain(status);
    }
    expect(calls).toEqual([]);
  });

  test.each([
    ["no JSON", "{"],
    ["no run", {}],
    ["another field", { runId: "r", force: true }],
    ["too much", { runId: "r".repeat(100_000) }],
  ])("with a body that has %s", async (_, body) => {
    expect([400, 413]).toContain((await post(createStudio(store), "cancel", body)).status);
    expect(calls).toEqual([]);
  });

  test("that is too large, of which only the beginning is read", async () => {
    let chunks = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (++chunks === 100) return controller.close();
        controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    const request = new Request(`${host}/api/cancel`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
      duplex: "half",
    } as RequestInit);
    expect((await createStudio(store).fetch(request)).status).toBe(413);
    expect(chunks).toBeLessThan(10);
    expect(calls).toEqual([]);
  });
});

test("a bulk change that no longer matches its preview changes nothing", async () => {
  const store = new MemoryStore();
  for (const runId of ["a", "b"]) await store.createRun({ runId, workflowId: "w" });
  await store.updateRun("a", { status: "CANCELLED" });
  const studio = createStudio(store);
  const filter = { status: ["COMPLETED", "FAILED", "CANCELLED"] };
  const preview = await post(studio, "bulk", { action: "delete", filter, dryRun: true });
  const { changedRuns: expectedRuns, createdBefore } = preview.body;
  expect(expectedRuns).toBe(1);
  await store.updateRun("b", { status: "CANCELLED" });
  const bounded = { ...filter, createdBefore };
  const change = { action: "delete", filter: bounded, dryRun: false };
  expect(await post(studio, "bulk", { ...change, expectedRuns })).toMatchObject({
    status: 409,
    body: { error: { code: "PREVIEW_CHANGED" } },
  });
  expect((await store.listRuns()).runs).toHaveLength(2);
  expect((await post(studio, "bulk", { ...change, expectedRuns: 2 })).body).toMatchObject({
    changedRuns: 2,
  });
});

test("a preview counts a run that was created in the same millisecond", async () => {
  for (let turn = 0; turn < 50; turn++) {
    const store = new MemoryStore();
    await store.createRun({ workflowId: "w" });
    const request = { action: "cancel", filter: {}, dryRun: true };
    const { body } = await post(createStudio(store), "bulk", request);
    expect(body).toMatchObject({ changedRuns: 1 });
  }
});

test("a bulk change with a condition that is not known changes nothing", async () => {
  const { store, calls } = counted(new MemoryStore());
  for (const filter of [{ workflow: "w" }, { workflowId: "w", tag: "a=1" }]) {
    const request = { action: "delete", dryRun: false, filter };
    expect((await post(createStudio(store), "bulk", request)).status).toBe(400);
  }
  expect(calls).toEqual([]);
});

describe("names that every object has", () => {
  const names = ["__proto__", "constructor", "toString", "valueOf", "hasOwnProperty"];

  test.each(names)("%s is no file, no payload and no report", async (name) => {
    const store = new MemoryStore();
    const { runId } = await store.createRun({ workflowId: "w", input: 1 });
    const studio = createStudio(store);
    expect((await studio.fetch(new Request(`${host}/assets/${name}`))).status).toBe(404);
    expect((await get(studio, `payload?id=${runId}&kind=${name}`)).status).toBe(404);
    expect((await get(studio, `report?name=${name}`)).status).toBe(404);
  });

  test.each(names)(
    "the tag %s selects the runs that have it, also to delete them",
    async (name) => {
      const store = new MemoryStore();
      const tags = Object.fromEntries([[name, "x"]]);
      const tagged = await store.createRun({ workflowId: "w", status: "FAILED", tags });
      const other = await store.createRun({ workflowId: "w", status: "FAILED", tags: { a: "x" } });
      const studio = createStudio(store);
      const { body: list } = await get(studio, `runs?tag=${name}%3Dx`);
      expect(list["runs"]).toEqual([expect.objectContaining({ runId: tagged.runId })]);
      const body = `{"action":"delete","dryRun":false,"filter":{"tags":{"${name}":"x"}}}`;
      expect((await post(studio, "bulk", body)).body).toMatchObject({ changedRuns: 1 });
      expect(await store.findRun(tagged.runId)).toBe(null);
      expect(await store.findRun(other.runId)).not.toBe(null);
    },
  );
});

test.each([
  ["runs?limit=abc", "limit: must be a number from 1 to 1000"],
  ["runs?after=noon", "after: must be a time such as 2026-01-31T12:00:00Z"],
  ["counts?status=DONE", "status: must be one of PENDING, RUNNING, COMPLETED, FAILED, CANCELLED"],
  ["runs?tag=a", "tag: must be key=value"],
  ["report?name=queue&limit=0", "limit: must be a number from 1 to 10000"],
  ["report?name=queue&lastMs=-1", "lastMs: must be a number of milliseconds"],
  ["report?name=throughput&until=x", "until: must be a time such as 2026-01-31T12:00:00Z"],
])("%s is refused by the name of the parameter", async (path, message) => {
  expect(await get(createStudio(new MemoryStore()), path)).toMatchObject({
    status: 400,
    body: { error: { message } },
  });
});

test("a body is refused by the name of its field", async () => {
  const studio = createStudio(new MemoryStore());
  const bulk = (createdAfter: unknown) => ({
    action: "delete",
    dryRun: true,
    filter: { createdAfter },
  });
  for (const [body, message] of [
    ["{", "the body is not JSON"],
    [bulk("noon"), "filter.createdAfter: must be a time such as 2026-01-31T12:00:00Z"],
    [bulk(null), expect.stringMatching(/^filter\.createdAfter: .*expected string/)],
  ] as const) {
    expect(await post(studio, "bulk", body)).toMatchObject({
      status: 400,
      body: { error: { message } },
    });
  }
});

test("a tag whose key is given twice is refused, because no run has both values", async () => {
  const { status, body } = await get(createStudio(new MemoryStore()), "runs?tag=a%3D1&tag=a%3D2");
  expect(status).toBe(400);
  expect(body).toMatchObject({ error: { message: "tag: has a key twice" } });
});

test("it never rejects, and permits nothing but true", async () => {
  const { store, calls } = counted(new MemoryStore());
  const throwing = (error: unknown) => async () => {
    throw error;
  };
  for (const [authorize, status] of [
    [throwing("not an error"), 500],
    [throwing(undefined), 500],
    [() => new Response(null, { status: 302 }), 403],
    [() => "yes", 403],
  ] as const) {
    const studio = createStudio(store, { authorize: authorize as unknown as () => boolean });
    expect((await studio.fetch(new Request(`${host}/api/runs`))).status).toBe(status);
  }
  expect(calls).toEqual([]);
});

describe("reads are refused", () => {
  test.each([
    ["another origin", { origin: "https://evil.example" }],
    ["another site", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
  ] as const)("of %s", async (_, headers) => {
    const { store, calls } = counted(new MemoryStore());
    expect((await get(createStudio(store), "runs", headers)).status).toBe(403);
    expect(calls).toEqual([]);
  });

  test("by another host name than a loopback address, unless the app authorizes", async () => {
    const { store, calls } = counted(new MemoryStore());
    const rebound = new Request("http://evil.example:4983/api/runs");
    expect((await createStudio(store).fetch(rebound)).status).toBe(403);
    expect(calls).toEqual([]);
    for (const name of ["127.0.0.1:1", "[::1]:1", "localhost"]) {
      const request = new Request(`http://${name}/api/runs`);
      expect((await createStudio(store).fetch(request)).status).toBe(200);
    }
    const authorized = createStudio(store, { authorize: () => true });
    expect((await authorized.fetch(rebound)).status).toBe(200);
  });

  test("if authorize does not return true, or throws", async () => {
    const { store, calls } = counted(new MemoryStore());
    const authorize = vi.fn((request: Request) => request.headers.get("x-user") === "ada");
    const studio = createStudio(store, { authorize });
    for (const path of ["/", "/assets/studio.js", "/api/runs", "/api/live"]) {
      expect((await studio.fetch(new Request(host + path))).status).toBe(403);
    }
    expect((await post(studio, "cancel", { runId: "r" })).status).toBe(403);
    const failing = createStudio(store, {
      authorize: async () => {
        throw new Error("the session store is down: secret");
      },
    });
    const response = await failing.fetch(new Request(`${host}/api/runs`));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    expect(calls).toEqual([]);
    expect((await get(studio, "runs", { "x-user": "ada" })).status).toBe(200);
  });
});

describe("with a token", () => {
  const token = "a-token-of-32-characters-and-more";
  const hosts = ["localhost:4983", "127.0.0.1:4983"];
  const { store, calls } = counted(new MemoryStore());
  const studio = withToken(createStudio(store, { authorize: () => true }), { token, hosts });
  const ask = (path: string, headers: Record<string, string> = {}) =>
    studio.fetch(new Request(host + path, { headers }));

  test.each(["/", "/assets/studio.js", "/api/runs", "/api/live", "/api/payload?id=r&kind=input"])(
    "%s is refused without it, and with a wrong one",
    async (path) => {
      const before = calls.length;
      const refusal = await ask(path);
      expect(refusal.status).toBe(401);
      expect(Object.fromEntries(refusal.headers)).toMatchObject(protection);
      for (const wrong of ["", "x", `${token}x`, token.replace("a", "b")]) {
        const given = path.includes("?") ? `${path}&token=${wrong}` : `${path}?token=${wrong}`;
        expect((await ask(given)).status).toBe(401);
        expect((await ask(path, { authorization: `Bearer ${wrong}` })).status).toBe(401);
        expect((await ask(path, { cookie: `gorkflow_studio_4983=${wrong}` })).status).toBe(401);
      }
      expect(calls).toHaveLength(before);
    },
  );

  test("the link sets a cookie that scripts and other sites do not get", async () => {
    const page = await ask(`/?token=${token}`);
    expect(page.status).toBe(200);
    const cookie = page.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    const [pair = ""] = cookie.split(";");
    expect((await ask("/api/runs", { cookie: `theme=dark; ${pair}` })).status).toBe(200);
    expect((await ask("/api/runs", { authorization: `Bearer ${token}` })).status).toBe(200);
  });

  test("the link permits no change", async () => {
    const request = (headers: Record<string, string>) =>
      new Request(`${host}/api/cancel?token=${token}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: '{"runId":"r"}',
      });
    expect((await studio.fetch(request({}))).status).toBe(401);
    expect((await studio.fetch(request({ authorization: `Bearer ${token}` }))).status).toBe(404);
  });

  test("one of several cookies of the name is enough", async () => {
    const name = "gorkflow_studio_4983";
    for (const values of [
      ["old", token],
      [token, "old"],
    ]) {
      const cookie = values.map((value) => `${name}=${value}`).join("; ");
      expect((await ask("/api/runs", { cookie })).status).toBe(200);
    }
    expect((await ask("/api/runs", { cookie: `${name}=a; ${name}=b` })).status).toBe(401);
  });

  test("another host is refused even with it, as in DNS rebinding", async () => {
    const request = new Request(`http://evil.example:4983/?token=${token}`);
    expect((await studio.fetch(request)).status).toBe(403);
    const port = new Request("http://localhost:4984/api/runs", {
      headers: { authorization: `Bearer ${token}` },
    });
    expect((await studio.fetch(port)).status).toBe(403);
  });
});

/** The headers of every response, refusals included. */
const protection = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'self'; " +
    "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

test("the page runs no inline script and may not be framed", async () => {
  const studio = createStudio(new MemoryStore());
  const page = await studio.fetch(new Request(`${host}/run?id=r`));
  expect(Object.fromEntries(page.headers)).toMatchObject(protection);
  const html = await page.text();
  const scripts = html.match(/<script[^>]*>[^<]*/g);
  expect(scripts).toEqual(['<script type="module" src="assets/studio.js">']);
  expect(html).not.toMatch(/<style|style=| on\w+=/);
  const answer = await studio.fetch(new Request(`${host}/api/absent`));
  expect(answer.status).toBe(404);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    ...protection,
    "cache-control": "no-store",
  });
});

test("it is mounted at a path", async () => {
  const studio = createStudio(new MemoryStore(), { basePath: "/admin/studio/" });
  for (const path of ["/admin/studio", "/admin/studio/", "/admin/studio/runs"]) {
    const page = await studio.fetch(new Request(host + path));
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('<base href="/admin/studio/" />');
  }
  for (const path of ["assets/studio.js", "assets/studio.css", "assets/icon.svg", "api/runs"]) {
    expect((await studio.fetch(new Request(`${host}/admin/studio/${path}`))).status).toBe(200);
  }
  for (const path of ["/", "/api/runs", "/admin/api/runs", "/admin/studio/assets/index.js"]) {
    expect((await studio.fetch(new Request(host + path))).status).toBe(404);
  }
});

test("a store and options that are invalid are refused by name", () => {
  const store = new MemoryStore();
  for (const other of [undefined, {}, "file:./workflows.db"]) {
    expect(() => createStudio(other as never)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", argument: "store" }),
    );
  }
  for (const [option, value] of [
    ["readOnly", "yes"],
    ["authorize", true],
    ["redact", "password"],
    ["redact", ["*"]],
    ["basePath", "//evil.example"],
    ["basePath", '/"><script>'],
    ["workflows", [{ id: "w" }]],
    ["unknown", 1],
  ] as const) {
    expect(() => createStudio(store, { [option]: value })).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        message: expect.stringContaining(option),
      }),
    );
  }
});

test("a run links to the trace in which it was started", async () => {
  const store = new MemoryStore();
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const urlOf = async (
    context: unknown,
    traceUrl: (trace: RunTrace) => string | undefined = ({ traceId: id, workflowId }) =>
      `https://traces.example/${workflowId}/${id}`,
  ) => {
    const { runId } = await store.createRun({ workflowId: "w", context });
    const { body } = await get(createStudio(store, { traceUrl }), `run?id=${runId}`);
    return (body["run"] as { value: { traceUrl?: string } }).value.traceUrl;
  };
  const contextOf = (traceparent: unknown) => ({ "gorkflow.trace": { traceparent }, tenant: 1 });
  const traced = contextOf(`00-${traceId}-00f067aa0ba902b7-01`);
  expect(await urlOf(traced)).toBe(`https://traces.example/w/${traceId}`);
  expect(await urlOf(traced, () => undefined)).toBe(undefined);
  expect(await urlOf(traced, () => "javascript:alert(1)")).toBe(undefined);
  for (const context of [
    null,
    { tenant: 1 },
    { "gorkflow.trace": null },
    contextOf(1),
    contextOf(`00-${"0".repeat(32)}-00f067aa0ba902b7-01`),
  ]) {
    expect(await urlOf(context)).toBe(undefined);
  }
});

test("a workflow is paused with a reason, shown, and resumed", async () => {
  const store = new MemoryStore();
  const studio = createStudio(store);
  expect((await get(studio, "pauses")).body).toEqual({ pauses: [] });
  const pause = { workflowId: "w", reason: "the bank is down" };
  expect((await post(studio, "pause", pause)).body).toEqual({ changed: true });
  expect((await post(studio, "pause", pause)).body).toEqual({ changed: false });
  expect((await get(studio, "pauses")).body).toEqual({
    pauses: [{ ...pause, pausedAt: expect.any(String) as unknown }],
  });
  expect((await post(studio, "resume", { workflowId: "w" })).body).toEqual({ changed: true });
  expect(await store.listPausedWorkflows()).toEqual([]);
  for (const body of [{}, { workflowId: 5 }, { workflowId: "w", reason: "" }, "{"]) {
    expect((await post(studio, "pause", body)).status).toBe(400);
  }
  expect(await post(studio, "resume", { workflowId: "" })).toMatchObject({
    status: 400,
    body: { error: { code: "INVALID_ARGUMENT" } },
  });
});

test("the page gets the names and descriptions of workflows and steps", async () => {
  const named = defineStep({
    id: "named",
    name: "Pack",
    input: z.number(),
    output: z.number(),
    run: (value) => value,
  });
  const workflow = defineWorkflow({ id: "w", version: "2", name: "Orders", description: "All." })
    .step(named)
    .build();
  const studio = createStudio(new MemoryStore(), { workflows: [workflow] });
  expect((await get(studio, "meta")).body["workflows"]).toEqual([
    {
      id: "w",
      version: "2",
      name: "Orders",
      description: "All.",
      steps: [{ id: "named", name: "Pack", description: null }],
    },
  ]);
  for (const stages of [[null], [{}], [{ steps: [null] }]]) {
    const other = { id: "w", version: "2", plan: { stages } } as unknown as typeof workflow;
    expect(() => createStudio(new MemoryStore(), { workflows: [other] })).toThrow(
      "options.workflows[0]: must be a result of a workflow builder's `build()`",
    );
  }
});

test("a store without a database has pages of runs, and no reports", async () => {
  const store = new MemoryStore();
  const { runId } = await store.createRun({ workflowId: "w" });
  const studio = createStudio(store);
  expect((await get(studio, "meta")).body["hasReports"]).toBe(false);
  expect((await get(studio, `run?id=${runId}`)).body).toMatchObject({
    run: { value: { runId } },
  });
  expect((await get(studio, "schema")).body).toMatchObject({ migrations: null });
  for (const path of ["report?name=throughput", "doctor"]) {
    expect(await get(studio, path)).toMatchObject({
      status: 501,
      body: { error: { code: "UNSUPPORTED" } },
    });
  }
});

test("a failure of the store shows its code, and no value", async () => {
  const store = new MemoryStore();
  const driverError = Object.assign(new Error("near secret: syntax error"), {
    code: "SQLITE_ERROR",
  });
  vi.spyOn(store, "listRuns").mockRejectedValue(new Error("Failed query", { cause: driverError }));
  const { status, body } = await get(createStudio(store), "runs");
  expect(status).toBe(500);
  expect(body).toEqual({
    error: { code: "INTERNAL", message: "the request failed (SQLITE_ERROR)" },
  });
  await store.close();
  const closed = new MemoryStore();
  await closed.close();
  expect((await get(createStudio(closed), "counts")).status).toBe(503);
});

describe("payloads", () => {
  const secrets = {
    user: "ada",
    password: "hunter2",
    nested: [{ "API-Key": "k", Access_Token: "t", tokens: 3 }],
    headers: { "X-API-Key": "k", "proxy-authorization": "Bearer t" },
  };

  async function storeWith(value: unknown) {
    const store = new MemoryStore();
    const { runId } = await store.createRun({
      workflowId: "w",
      status: "FAILED",
      input: value,
      output: value,
      error: value,
      context: value,
      tags: { authorization: "Bearer t", country: "DE" },
    });
    await store.createStepExecution({ runId, stepId: "s", input: value, error: value });
    await store.saveStepAttempt({ runId, stepId: "s", attempt: 1, status: "FAILED", error: value });
    await store.saveStepOutput(runId, "s", value);
    await store.saveState(runId, "password", "hunter2");
    await store.saveState(runId, "form", value);
    return { store, runId };
  }

  const everything = async (studio: Studio, runId: string) => {
    const paths = [
      "runs",
      `run?id=${runId}`,
      `step?id=${runId}&step=s`,
      ...["input", "output", "error", "context", "state"].map(
        (kind) => `payload?id=${runId}&kind=${kind}`,
      ),
      ...["input", "output", "error"].map((kind) => `payload?id=${runId}&kind=${kind}&step=s`),
    ];
    const texts = await Promise.all(
      paths.map(async (path) => (await studio.fetch(new Request(`${host}/api/${path}`))).text()),
    );
    return texts.join("\n");
  };

  test("do not show the values of keys that name secrets, wherever they are", async () => {
    const { store, runId } = await storeWith(secrets);
    const shown = await everything(createStudio(store), runId);
    expect(shown).toContain("[redacted]");
    expect(shown).toContain("ada");
    expect(shown).toContain("country");
    expect(shown).not.toMatch(/hunter2|Bearer t|"k"|\\"k\\"|\\"t\\"/);
  });

  test("are redacted in a run of which one cannot be read", async ({ folder }) => {
    const store = await LibSQLStore.open(await migratedDatabase(folder));
    const { runId } = await store.createRun({
      workflowId: "w",
      error: secrets,
      tags: { authorization: "Bearer t" },
    });
    await store.db.run("update workflow_runs set input = 'broken'");
    const response = await createStudio(store).fetch(new Request(`${host}/api/run?id=${runId}`));
    const text = await response.text();
    expect(text).toContain('"CORRUPT_ROW"');
    expect(text).toContain("ada");
    expect(text).not.toMatch(/hunter2|Bearer t/);
    await store.close();
  });

  test("hide keys by their words, however they are written", async () => {
    const hidden = [
      "stripeApiKey",
      "STRIPE_API_KEYS",
      "x-api-key",
      "apikey",
      "dbPassword",
      "dbpassword",
      "password2",
      "pwd2",
      "accessToken",
      "oauth2.token",
      "JWTs",
      "aws secret key",
    ];
    const visible = [
      "author",
      "monkey",
      "secretary",
      "tokenize",
      "shipping",
      "keyboard",
      "sen\u0303a",
    ];
    const entries = [...hidden, ...visible].map((key) => [key, `the ${key}`]);
    const { store, runId } = await storeWith(Object.fromEntries(entries));
    const shown = await everything(createStudio(store), runId);
    expect(hidden.filter((key) => shown.includes(`the ${key}`))).toEqual([]);
    expect(visible.filter((key) => !shown.includes(`the ${key}`))).toEqual([]);
    const own = await everything(
      createStudio(store, { redact: ["pin", "key board", "SE\u00d1A"] }),
      runId,
    );
    expect(own).toContain("the shipping");
    expect(own).not.toContain("the sen\u0303a");
    expect(own).not.toContain("the keyboard");
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("hunter2");
      },
    ],
    ["returns what JSON cannot hold", () => 5n],
    [
      "returns a cycle",
      () => {
        const cycle: { own?: unknown } = {};
        return (cycle.own = cycle);
      },
    ],
  ])("are hidden if the function that redacts them %s", async (_, fail) => {
    const { store, runId } = await storeWith(secrets);
    const redact = (path: readonly string[], value: unknown) =>
      path.at(-1) === "user" ? value : typeof value === "object" ? value : fail();
    const studio = createStudio(store, { redact });
    expect((await get(studio, "runs")).status).toBe(200);
    const shown = await everything(studio, runId);
    expect(shown).toContain("ada");
    expect(shown).toContain("[redacted: the function redact failed for this value]");
    expect(shown).not.toMatch(/hunter2|Bearer t/);
  });

  test("are redacted by other keys, by a function, or not at all", async () => {
    const { store, runId } = await storeWith(secrets);
    const byKey = await everything(createStudio(store, { redact: ["USER"] }), runId);
    expect(byKey).not.toContain("ada");
    expect(byKey).toContain("hunter2");
    const paths = new Set<string>();
    const byFunction = createStudio(store, {
      redact: (path, value) => {
        paths.add(path.join("."));
        return value === "hunter2" ? "h…" : value;
      },
    });
    const shown = await everything(byFunction, runId);
    expect(shown).toContain("h…");
    expect(shown).not.toContain("hunter2");
    expect([...paths]).toEqual(
      expect.arrayContaining(["input.nested.0.tokens", "state.form.user", "tags.country"]),
    );
    const all = await everything(createStudio(store, { redact: [] }), runId);
    expect(all).not.toContain("[redacted]");
    expect(all).toContain("Bearer t");
  });

  test("are redacted in the messages of errors, causes and attempts", async () => {
    const cause = { name: "Inner", message: "card 4111" };
    const { store, runId } = await storeWith({ name: "Outer", message: "card 4111", cause });
    const shown = await everything(createStudio(store, { redact: ["message"] }), runId);
    expect(shown).toContain("Outer: [redacted]");
    expect(shown).toContain("Inner: [redacted]");
    expect(shown).not.toContain("4111");
  });

  test("are redacted in the reports of errors, also as CSV", async ({ folder }) => {
    const store = await LibSQLStore.open(await migratedDatabase(folder));
    const ended = { status: "FAILED", startedAt: new Date(), completedAt: new Date() } as const;
    const error = { name: "PaymentError", code: "hunter2", message: "refused" };
    const { runId } = await store.createRun({ workflowId: "w", error, ...ended });
    await store.createStepExecution({ runId, stepId: "s", error, ...ended });
    const byFunction = (path: readonly string[], value: unknown) =>
      path[0] === "error" ? { hidden: true } : value;
    for (const [redact, code, name] of [
      [["code"], "[redacted]", "PaymentError"],
      [byFunction, null, null],
      [[], "hunter2", "PaymentError"],
    ] as const) {
      const studio = createStudio(store, { redact });
      for (const report of ["errors", "step-errors"]) {
        const { body } = await get(studio, `report?name=${report}`);
        expect(body["rows"]).toMatchObject([{ workflowId: "w", code, name }]);
        const csv = await studio.fetch(new Request(`${host}/api/report.csv?name=${report}`));
        expect((await csv.text()).split("\n")[1]).toContain(`,${code ?? ""},${name ?? ""},`);
      }
    }
    await store.close();
  });

  test("of megabytes and of deep JSON are cut in a page, and complete in a download", async () => {
    let deep: unknown = "bottom";
    for (let depth = 0; depth < 900; depth++) deep = { deep };
    for (const value of [{ text: "x".repeat(1_500_000) }, deep]) {
      const store = new MemoryStore();
      const { runId } = await store.createRun({ workflowId: "w", input: value });
      const studio = createStudio(store);
      const { body } = await get(studio, `run?id=${runId}`);
      expect(JSON.stringify(body).length).toBeLessThan(30_000);
      const whole = await studio.fetch(new Request(`${host}/api/payload?id=${runId}&kind=input`));
      expect(await whole.json()).toEqual(value);
    }
  });

  test("may have bytes", async () => {
    const { store, runId } = await storeWith({ file: new Uint8Array([1, 2]) });
    const studio = createStudio(store);
    const { body } = await get(studio, `step?id=${runId}&step=s`);
    expect(JSON.stringify(body)).toContain("AQI=");
  });

  test("cannot begin a formula in a spreadsheet", async ({ folder }) => {
    const store = await LibSQLStore.open(await migratedDatabase(folder));
    await store.createRun({ workflowId: '=HYPERLINK("http://evil.example","a, b")' });
    const studio = createStudio(store);
    const csv = await studio.fetch(new Request(`${host}/api/report.csv?name=queue`));
    expect((await csv.text()).split("\n")[1]).toMatch(
      /^"'=HYPERLINK\(""http:\/\/evil\.example"",""a, b""\)",1,1,0,/,
    );
    await store.close();
  });
});

test("the period of a report may end now", async ({ folder }) => {
  const store = await LibSQLStore.open(await migratedDatabase(folder));
  const hourMs = 3_600_000;
  const now = Date.now();
  for (const hours of [1, 3]) {
    await store.createRun({ workflowId: `w${hours}`, createdAt: new Date(now - hours * hourMs) });
  }
  const studio = createStudio(store);
  const { body } = await get(studio, `report?name=throughput&per=hour&lastMs=${2 * hourMs}`);
  expect(body["rows"]).toEqual([expect.objectContaining({ workflowId: "w1" })]);
  const [begin = 0] = body["times"] as number[];
  expect(begin % hourMs).toBe(0);
  expect(now - begin).toBeGreaterThanOrEqual(2 * hourMs - 60_000);
  expect((await get(studio, "report?name=throughput&lastMs=x")).status).toBe(400);
  await store.close();
});

describe("live updates", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Opens a stream, and collects the names of its events. */
  async function view(studio: Studio, query = "", given?: AbortSignal) {
    const aborter = new AbortController();
    const signal = given ?? aborter.signal;
    const response = await studio.fetch(new Request(`${host}/api/live${query}`, { signal }));
    const events: string[] = [];
    const read = (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        events.push(
          ...[...decoder.decode(chunk).matchAll(/^event: (\w+)$/gm)].map((each) => each[1] ?? ""),
        );
      }
    })();
    return { events, end: () => aborter.abort(), read };
  }

  test("cost one query per second, however many viewers there are", async () => {
    const { store, calls } = counted(new MemoryStore());
    const run = await store.createRun({ workflowId: "w" });
    const other = await store.createRun({ workflowId: "w" });
    const studio = createStudio(store);
    const lists = await Promise.all(Array.from({ length: 20 }, () => view(studio)));
    const pages = await Promise.all(
      Array.from({ length: 20 }, () => view(studio, `?id=${run.runId}`)),
    );
    await vi.advanceTimersByTimeAsync(10_000);
    calls.length = 0;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls).toHaveLength(10);
    expect(new Set(calls)).toEqual(new Set(["listRuns", "getRuns"]));
    expect(lists[0]?.events).not.toContain("changed");
    expect(pages[0]?.events).not.toContain("changed");

    await store.updateRun(other.runId, { progress: 0.5 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(lists.every(({ events }) => events.includes("changed"))).toBe(true);
    expect(pages.some(({ events }) => events.includes("changed"))).toBe(false);
    await store.updateRun(run.runId, { status: "RUNNING" });
    await vi.advanceTimersByTimeAsync(3000);
    expect(pages.every(({ events }) => events.includes("changed"))).toBe(true);

    for (const viewer of [...lists, ...pages]) viewer.end();
    await Promise.all([...lists, ...pages].map(({ read }) => read));
    await vi.advanceTimersByTimeAsync(2000);
    calls.length = 0;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toEqual([]);
  });

  test("tell that the store cannot be read, and continue when it can", async () => {
    const store = new MemoryStore();
    const studio = createStudio(store);
    const failing = vi.spyOn(store, "listRuns").mockRejectedValue(new Error("down"));
    const viewer = await view(studio);
    await vi.advanceTimersByTimeAsync(2000);
    expect(viewer.events).toContain("trouble");
    failing.mockRestore();
    await vi.advanceTimersByTimeAsync(1000);
    await store.createRun({ workflowId: "w" });
    await vi.advanceTimersByTimeAsync(2000);
    expect(viewer.events.at(-1)).not.toBe("trouble");
    expect(viewer.events).toContain("changed");
    viewer.end();
    await viewer.read;
  });

  test("of a run that cannot be read, or has no valid id, do not stop those of others", async () => {
    const store = new MemoryStore();
    const { runId } = await store.createRun({ workflowId: "w" });
    const { runId: corrupt } = await store.createRun({ workflowId: "w" });
    const getRuns = store.getRuns.bind(store);
    vi.spyOn(store, "getRuns").mockImplementation(async (runIds) => {
      if (!runIds.includes(corrupt)) return getRuns(runIds);
      const key = { run_id: corrupt };
      throw new CorruptRowError({ table: "workflow_runs", key, column: "tags" });
    });
    const studio = createStudio(store);
    for (const id of ["", "%00", "x".repeat(256)]) {
      expect((await get(studio, `live?id=${id}`)).status).toBe(400);
    }
    const viewers = [await view(studio, `?id=${runId}`), await view(studio, `?id=${corrupt}`)];
    await vi.advanceTimersByTimeAsync(3000);
    await store.updateRun(runId, { progress: 0.5 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(viewers[0]?.events).toContain("changed");
    expect(viewers.flatMap(({ events }) => events)).not.toContain("trouble");
    for (const viewer of viewers) viewer.end();
    await Promise.all(viewers.map(({ read }) => read));
  });

  test("end for a viewer that does not read, or cancels the stream", async () => {
    const { store, calls } = counted(new MemoryStore());
    const studio = createStudio(store);
    const open = () => studio.fetch(new Request(`${host}/api/live`));
    const stopped = async () => {
      calls.length = 0;
      await vi.advanceTimersByTimeAsync(10_000);
      return calls.length === 0;
    };
    const unread = await open();
    expect(await stopped()).toBe(false);
    // Each event is sent after five polls, and a hundred of them may wait.
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await stopped()).toBe(true);
    await unread.body?.cancel();
    const cancelled = await open();
    expect(await stopped()).toBe(false);
    await cancelled.body?.cancel();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await stopped()).toBe(true);
  });

  test("are not sent for HEAD, or after the request was aborted", async () => {
    const { store, calls } = counted(new MemoryStore());
    const studio = createStudio(store);
    const head = await studio.fetch(new Request(`${host}/api/live`, { method: "HEAD" }));
    expect(head.headers.get("content-type")).toBe("text/event-stream");
    const aborted = await view(studio, "", AbortSignal.abort());
    await aborted.read;
    expect(aborted.events).toEqual([]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(calls).toEqual([]);
  });

  test("that tell of a change are followed by an answer from after it", async () => {
    const store = new MemoryStore();
    const { runId } = await store.createRun({ workflowId: "w" });
    const studio = createStudio(store);
    const viewer = await view(studio, `?id=${runId}`);
    await vi.advanceTimersByTimeAsync(1900);
    // Another viewer reads the page, and the run changes before the next poll.
    await get(studio, `run?id=${runId}`);
    await store.updateRun(runId, { status: "RUNNING" });
    await vi.advanceTimersByTimeAsync(200);
    expect(viewer.events.at(-1)).toBe("changed");
    const { body } = await get(studio, `run?id=${runId}`);
    expect(body).toMatchObject({ run: { value: { status: "RUNNING" } } });
    viewer.end();
    await viewer.read;
  });

  test("a read that hangs is not shared for longer than its timeout", async () => {
    const { store, calls } = counted(new MemoryStore());
    const studio = createStudio(store);
    vi.spyOn(store, "listRuns").mockReturnValueOnce(new Promise(() => undefined));
    const viewers = [get(studio, "runs"), get(studio, "runs")];
    await vi.advanceTimersByTimeAsync(longestReadMs);
    for (const viewer of viewers) {
      expect(await viewer).toMatchObject({
        status: 504,
        body: { error: { code: "QUERY_TIMEOUT" } },
      });
    }
    expect((await get(studio, "runs")).status).toBe(200);
    expect(vi.getTimerCount()).toBe(0);
    expect(calls).toEqual(["listRuns", "listRuns"]);
  });

  test("continue after a poll that hangs", async () => {
    const store = new MemoryStore();
    const studio = createStudio(store);
    vi.spyOn(store, "listRuns").mockReturnValueOnce(new Promise(() => undefined));
    const viewer = await view(studio);
    await vi.advanceTimersByTimeAsync(longestPollMs + 2000);
    expect(viewer.events).toContain("trouble");
    await store.createRun({ workflowId: "w" });
    await vi.advanceTimersByTimeAsync(2000);
    expect(viewer.events).toContain("changed");
    viewer.end();
    await viewer.read;
  });

  test("make many viewers of a page share one read, until something is changed", async () => {
    const { store, calls } = counted(new MemoryStore());
    const { runId } = await store.createRun({ workflowId: "w" });
    const studio = createStudio(store);
    calls.length = 0;
    await Promise.all(Array.from({ length: 30 }, () => get(studio, "runs")));
    expect(calls).toEqual(["listRuns"]);
    await post(studio, "cancel", { runId });
    const { body } = await get(studio, "runs");
    expect(body).toMatchObject({ runs: [{ status: "CANCELLED" }] });
    calls.length = 0;
    await vi.advanceTimersByTimeAsync(1001);
    await get(studio, "runs");
    expect(calls).toEqual(["listRuns"]);
  });
});
