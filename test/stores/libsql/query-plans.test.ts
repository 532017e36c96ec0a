import { drizzle } from "drizzle-orm/libsql/web";
import { getTableConfig } from "drizzle-orm/sqlite-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "../../../src/client/create-client.ts";
import type { LocalClient } from "../../../src/client/local-client.ts";
import { migrate } from "../../../src/migrations/migrate.ts";
import type { RunFilter } from "../../../src/model/run-queries.ts";
import { schema } from "../../../src/schema/schema.ts";
import {
  stepAttempts,
  stepExecutions,
  stepOutputs,
  workflowRuns,
  workflowState,
} from "../../../src/schema/tables.ts";
import { runStatuses } from "../../../src/statuses.ts";
import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";
import { explainWalks, recordStatements, type Walk } from "../../support/query-plans.ts";
import { temporaryFolder, type TemporaryFolder } from "../../support/temporary.ts";

const day = (n: number) => new Date(Date.UTC(2026, 0, 1 + n));
const runCount = 5000;
const runId = "run-1";

let folder: TemporaryFolder;
let client: LocalClient;
/** The same client, noting what is sent through it. */
let recorded: LocalClient;
let store: LibSQLStore;
let sentBy: ReturnType<typeof recordStatements>["sentBy"];

beforeAll(async () => {
  folder = await temporaryFolder();
  client = createClient({ url: folder.database(), durability: "normal" });
  await migrate(client);
  ({ client: recorded, sentBy } = recordStatements(client));
  store = new LibSQLStore(drizzle({ client: recorded, schema }));
  await Promise.all(Array.from({ length: runCount }, (_, n) => store.createRun(exampleRun(n))));
});
afterAll(async () => {
  client.close();
  await folder.remove();
});

function exampleRun(n: number) {
  const status = runStatuses[n % runStatuses.length] ?? "PENDING";
  return {
    runId: `run-${n}`,
    workflowId: `workflow-${n % 7}`,
    status,
    createdAt: day(n % 300),
    completedAt: status === "PENDING" || status === "RUNNING" ? null : day(n % 300),
    wakeAt: n % 2 === 0 ? day(n % 400) : null,
    resourceId: n % 3 === 0 ? `resource-${n % 50}` : null,
    tags: { color: n % 2 === 0 ? "red" : "blue" },
  };
}

async function walksOf(operation: () => Promise<unknown>): Promise<Walk[]> {
  const walks = await Promise.all(
    (await sentBy(operation)).map((sql) => explainWalks(client, sql)),
  );
  return walks.flat();
}

const describeWalk = ({ table, index, terms, sorted }: Walk): string =>
  `${index ?? table}${terms && ` ${terms}`}${sorted ? " sorted" : ""}`;

/** Reads everything that the table or the index has. */
const isWhole = (walk: Walk): boolean => walk.terms === "";

/**
 * Recent versions of SQLite, such as that of better-sqlite3, prepare a statement again at each execution if its plan
 * depends on the value of a parameter.
 */
test("lists and claims have no plan that depends on the value of a parameter", async () => {
  const calls = [
    () => store.listRuns({ workflowId: "workflow-1", status: "FAILED" }),
    () => store.listRuns({ resourceId: "resource-1", payloads: true }),
    () => store.listRuns({ workflowId: "workflow-1" }),
    () => store.readBundles({ limit: 1 }),
    () => store.listStepExecutions(runId),
    () => claimVersions(1),
  ];
  for (const call of calls) {
    for (const sql of await sentBy(call)) {
      expect(sql).not.toMatch(
        /\b(?:limit|"(?:workflow_id|workflow_version|resource_id)" =) \?(?! \+)/,
      );
    }
  }
});

const claimVersions = (count: number) =>
  store.claimRuns({
    workerId: "w",
    leaseMs: 1000,
    limit: 5,
    workflows: Array.from({ length: count }, (_, n) => ({
      workflowId: `workflow-${n}`,
      workflowVersion: "1",
    })),
  });

/** The queries that indexes are made for, each with the index that serves it. */
const queries: Readonly<Record<string, readonly [() => Promise<unknown>, serves: string]>> = {
  listRuns: [() => store.listRuns({ limit: 20 }), "workflow_runs_created_at_idx"],
  "listRuns, a later page": [
    async () => store.listRuns({ cursor: (await store.listRuns({ limit: 20 })).nextCursor }),
    "workflow_runs_created_at_idx ((created_at,run_id)<(?,?))",
  ],
  "listRuns, an earlier page": [
    async () => {
      const { nextCursor } = await store.listRuns({ limit: 20 });
      const { prevCursor } = await store.listRuns({ limit: 20, cursor: nextCursor });
      return store.listRuns({ cursor: prevCursor });
    },
    "workflow_runs_created_at_idx ((created_at,run_id)>(?,?))",
  ],
  "listRuns by time": [
    () => store.listRuns({ createdAfter: day(10), createdBefore: day(20) }),
    "workflow_runs_created_at_idx (created_at>? AND created_at<?)",
  ],
  "deletion by time, as everybody writes it": [
    () => recorded.write([{ sql: "delete from workflow_runs where created_at < ?", args: [0] }]),
    "workflow_runs_created_at_idx (created_at<?)",
  ],
  "listRuns by status": [
    () => store.listRuns({ status: "FAILED" }),
    "workflow_runs_status_idx (status=?)",
  ],
  "listRuns by several statuses": [
    () => store.listRuns({ status: ["FAILED", "RUNNING"] }),
    "workflow_runs_status_idx (status=?)",
  ],
  countRuns: [() => store.countRuns(), "workflow_runs_status_idx"],
  "claimRuns of PENDING runs that do not wait": [
    () => store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 5 }),
    "workflow_runs_status_idx (status=?)",
  ],
  "claimRuns of PENDING runs whose time has come": [
    () => store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 5 }),
    "workflow_runs_wake_idx (wake_at<?)",
  ],
  "claimRuns of RUNNING runs whose lease ran out": [
    () => store.claimRuns({ workerId: "w", leaseMs: 1000, limit: 5 }),
    "workflow_runs_lease_idx sorted",
  ],
  "listRuns by workflow": [
    () => store.listRuns({ workflowId: "workflow-3" }),
    "workflow_runs_workflow_idx (workflow_id=? AND status=?)",
  ],
  "countRuns by workflow": [
    () => store.countRuns({ workflowId: "workflow-3" }),
    "workflow_runs_workflow_idx (workflow_id=?)",
  ],
  "claimRuns by version of runs that do not wait": [
    () => claimVersions(1),
    "workflow_runs_ready_idx (workflow_id=? AND workflow_version=? AND wake_at=?)",
  ],
  "claimRuns by version of runs whose time has come": [
    () => claimVersions(1),
    "workflow_runs_ready_idx (workflow_id=? AND workflow_version=? AND wake_at<?)",
  ],
  "claimRuns by version of RUNNING runs whose lease ran out": [
    () => claimVersions(1),
    "workflow_runs_lease_idx (workflow_id=? AND workflow_version=? AND lease_expires_at<?) sorted",
  ],
  "listRuns by resource": [
    () => store.listRuns({ resourceId: "resource-6" }),
    "workflow_runs_resource_idx (resource_id=?)",
  ],
  "listRuns by resource, workflow and status": [
    () =>
      store.listRuns({
        resourceId: "resource-6",
        workflowId: "workflow-3",
        status: "COMPLETED",
      }),
    "workflow_runs_resource_idx (resource_id=?)",
  ],
  "createRun with an idempotency key": [
    () => store.createRun({ workflowId: "workflow-3", idempotencyKey: "key" }),
    "workflow_runs_idempotency_idx (workflow_id=? AND idempotency_key=?)",
  ],
  "pruneRuns of finished runs": [
    () => store.pruneRuns({ olderThan: day(2), dryRun: true }),
    "workflow_runs_completed_at_idx (completed_at>? AND completed_at<?)",
  ],
  "pruneRuns of finished runs of a workflow": [
    () => store.pruneRuns({ olderThan: day(2), workflowId: "workflow-3", dryRun: true }),
    "workflow_runs_completed_at_idx (completed_at>? AND completed_at<?)",
  ],
};

describe("the index of its own serves", () => {
  test.each(Object.entries(queries))("%s", async (_, [operation, serves]) => {
    expect((await walksOf(operation)).map(describeWalk)).toContain(serves);
  });
});

/** Indexes of the reports, whose queries `test/reports/query-plans.test.ts` holds to them. */
const reportIndexes = ["step_executions_workflow_idx", "workflow_runs_ended_idx"];

describe("every index of the schema serves a query that is named here:", () => {
  const served = Object.values(queries)
    .map(([, serves]) => serves.split(" ", 1)[0])
    .concat(reportIndexes);
  const indexes = [workflowRuns, stepExecutions, stepAttempts, stepOutputs, workflowState].flatMap(
    (table) => getTableConfig(table).indexes.map(({ config }) => config.name),
  );
  test.each(indexes)("%s", (name) => {
    expect(served).toContain(name);
  });

  test("and the database has no other", async () => {
    const { rows } = await client.execute(
      "select name from sqlite_schema where type = 'index' and sql is not null " +
        "and tbl_name not like '\\_\\_%' escape '\\' order by name",
    );
    expect(rows.map(({ name }) => name)).toEqual(indexes.toSorted());
  });
});

/** Every combination of a filter's conditions. */
const filters: readonly RunFilter[] = [
  {},
  { status: "FAILED" } as const,
  { status: ["FAILED", "RUNNING"] } as const,
]
  .flatMap((filter) => [filter, { ...filter, workflowId: "workflow-3" }])
  .flatMap((filter) => [filter, { ...filter, resourceId: "resource-6" }])
  .flatMap((filter) => [filter, { ...filter, tags: { color: "red" } }])
  .flatMap((filter) => [filter, { ...filter, createdAfter: day(10) }])
  .flatMap((filter) => [filter, { ...filter, createdBefore: day(200) }]);

/** The walks of an operation by the filter that it was done with. */
async function walksByFilter(
  operation: (filter: RunFilter) => Promise<unknown>,
): Promise<readonly { readonly filter: RunFilter; readonly walks: readonly Walk[] }[]> {
  const found = [];
  for (const filter of filters) {
    found.push({ filter, walks: await walksOf(() => operation(filter)) });
  }
  return found;
}

/** Whether any condition but `tags` is there: tags are looked at on the way through another index. */
const isNarrow = (filter: RunFilter): boolean =>
  Object.keys(filter).some((condition) => condition !== "tags");

/** A run that is already chosen, read by its id. */
const isLookup = ({ terms }: Walk): boolean => terms.startsWith("(run_id=?");

test("whatever the filter, a page reads an index in the page's order, all of it only without a filter", async () => {
  const found = await walksByFilter(async (filter) => {
    const list = await store.listRuns({ ...filter, limit: 2 });
    await store.listRuns({ ...filter, limit: 2, payloads: true, cursor: list.nextCursor });
    const bundles = await store.readBundles({ filter, limit: 2 });
    await store.readBundles({ filter, limit: 2, cursor: bundles.nextCursor });
  });
  const walked = found.map(({ filter, walks }) => ({
    filter,
    walks: walks.filter((walk) => !isLookup(walk)),
  }));
  expect(walked.filter(({ walks }) => walks.length === 0)).toEqual([]);
  expect(walked.filter(({ walks }) => walks.some(({ sorted }) => sorted))).toEqual([]);
  expect(walked.filter(({ walks, filter }) => isNarrow(filter) && walks.some(isWhole))).toEqual([]);
  const unfiltered = walked.filter(({ filter }) => !isNarrow(filter)).flatMap(({ walks }) => walks);
  expect(new Set(unfiltered.filter(isWhole).map(describeWalk))).toEqual(
    new Set(["workflow_runs_created_at_idx"]),
  );
});

test("whatever the filter, a count goes through one index, all of it only for tags and times", async () => {
  const found = await walksByFilter((filter) => store.countRuns(filter));
  expect(found.filter(({ walks }) => walks.length !== 1 || walks[0]?.index == null)).toEqual([]);
  const whole = found.filter(({ walks }) => walks.some(isWhole)).map(({ filter }) => filter);
  const names = new Set(whole.flatMap((filter) => Object.keys(filter)));
  expect(names).toEqual(new Set(["tags", "createdAfter", "createdBefore"]));
});

/** Everything that a store does with one run, or with a few that it knows by id. */
const operations: Readonly<Record<string, () => Promise<unknown>>> = {
  getRun: () => store.getRun(runId),
  updateRun: () => store.updateRun(runId, { progress: 0.5 }),
  "updateRun, refused": () =>
    store.updateRun(runId, { progress: 0.5 }, { expectedRevision: 99 }).catch(() => undefined),
  reopenRun: () => store.reopenRun("run-3"),
  "reopenRun from a step": async () => {
    await store.createRun({ runId: "ended", workflowId: "w", status: "COMPLETED" });
    await store.createStepExecution({ runId: "ended", stepId: "a" });
    await store.reopenRun("ended", { fromStep: "a" });
  },
  deleteRun: () => store.deleteRun("run-2"),
  "a step": async () => {
    await store.createStepExecution({ runId, stepId: "a" });
    await store.createStepExecution({ runId, stepId: "a" }).catch(() => undefined);
    await store.updateStepExecution(runId, "a", { status: "RUNNING" });
    await store.updateStepExecution(runId, "b", {}, { workerId: "w" }).catch(() => undefined);
    await store.getStepExecution(runId, "a");
    await store.listStepExecutions(runId);
  },
  "an attempt": async () => {
    const attempt = { runId, stepId: "a", attempt: 1, status: "FAILED" } as const;
    await store.saveStepAttempt(attempt);
    await store.saveStepAttempt(attempt);
    await store.saveStepAttempt(attempt, { workerId: "w" }).catch(() => undefined);
    await store.listStepAttempts(runId);
  },
  "an output": async () => {
    await store.saveStepOutput(runId, "a", 1);
    await store.saveStepOutput(runId, "a", 1, { workerId: "w" }).catch(() => undefined);
    await store.loadStepOutput(runId, "a");
  },
  state: async () => {
    await store.saveState(runId, "k", 1, { expectedRevision: 0 });
    await store.saveState(runId, "k", 1, { expectedRevision: 1 });
    await store.saveState(runId, "k", 1);
    await store.saveState(runId, "k", 1, { workerId: "w" }).catch(() => undefined);
    await store.loadStateEntry(runId, "k");
    await store.getAllState(runId);
    await store.deleteState(runId, "k", { workerId: "w" }).catch(() => undefined);
    await store.deleteState(runId, "k");
  },
  "a pause": async () => {
    await store.pauseWorkflow("workflow-3");
    await store.pauseWorkflow("workflow-3");
    await store.resumeWorkflow("workflow-3");
  },
  "a claim beside a pause": async () => {
    await store.pauseWorkflow("workflow-0");
    await claimVersions(1);
    await claimVersions(100);
    await store.resumeWorkflow("workflow-0");
  },
  "a lease": async () => {
    const [claimed] = await claimVersions(1);
    await claimVersions(100);
    const lease = { runId: claimed?.runId ?? "", workerId: "w", attempt: claimed?.attempt };
    await store.extendLease({ ...lease, leaseMs: 1000 });
    await store.releaseLease(lease);
  },
  batch: () =>
    store
      .batch(
        (write) => {
          write.createRun({ workflowId: "workflow-3", idempotencyKey: "key" });
          write.createStepExecution({ runId, stepId: "z" });
          write.updateRun(runId, { progress: 0.6 });
          write.updateStepExecution(runId, "z", { status: "COMPLETED" });
          write.saveStepAttempt({ runId, stepId: "z", attempt: 1, status: "COMPLETED" });
          write.saveStepOutput(runId, "z", 2);
          write.saveState(runId, "k", 2);
          write.deleteState(runId, "k");
          write.deleteRun("run-9");
        },
        { fence: { runId, workerId: "w" } },
      )
      .catch(() => undefined),
  transaction: () =>
    store.transaction(async (tx) => {
      await tx.updateRun(runId, { progress: 0.7 });
      await tx.saveState(runId, "k", 3);
    }),
  "readBundles of named runs": async () => {
    const runIds = [runId, "run-7"];
    const { nextCursor } = await store.readBundles({ runIds, limit: 1 });
    await store.readBundles({ runIds, cursor: nextCursor });
    await store.readBundles({ runIds, filter: { status: "FAILED" } });
  },
  writeBundles: async () => {
    const bundle = { run: await store.getRun(runId), steps: [], outputs: [], state: [] };
    await store.writeBundles([bundle], { onConflict: "replace" });
    await store.writeBundles([bundle], { onConflict: "skip" });
  },
};

describe("every row is found by its key, in", () => {
  test.each(Object.entries(operations))("%s", async (_, operation) => {
    const walks = await walksOf(operation);
    expect(walks).not.toEqual([]);
    expect(walks.filter(isWhole).map(describeWalk)).toEqual([]);
  });
});

test("pruneRuns walks the indexes in order, and looks up what it deletes", async () => {
  const walks = await walksOf(() =>
    store.pruneRuns({ olderThan: day(3), statuses: [...runStatuses], keepLast: 3, batchSize: 10 }),
  );
  const whole = walks.filter(isWhole).map(describeWalk);
  // How many are left at the end.
  expect(whole).toEqual(["sqlite_autoindex_workflow_runs_1"]);
  expect(walks.filter(({ sorted }) => sorted)).toEqual([]);
  expect(walks.map(describeWalk)).toEqual(
    expect.arrayContaining([
      "workflow_runs_completed_at_idx (completed_at>? AND completed_at<?)",
      "workflow_runs_status_idx (status=? AND (created_at,run_id)>(?,?))",
      "sqlite_autoindex_workflow_runs_1 (run_id=?)",
      // Who stays: the newest of each status of a workflow.
      "workflow_runs_workflow_idx (workflow_id=? AND status=?)",
    ]),
  );
});

test("stats counts over indexes, and reads no table", async () => {
  const walks = await walksOf(() => store.stats());
  expect(walks.filter(({ covering }) => !covering)).toEqual([]);
});
