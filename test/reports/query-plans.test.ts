import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LocalClient } from "../../src/client/local-client.ts";
import { LibSQLStore, type WorkflowDatabase } from "../../src/stores/libsql/libsql-store.ts";
import type { ReportOptions } from "../../src/reports/index.ts";
import { explainWalks, type Walk } from "../support/query-plans.ts";
import { reports, reportNames, type ReportName } from "./support/all-reports.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";

const runCount = 100_000;

let folder: TemporaryFolder;
let store: LibSQLStore;
beforeAll(async () => {
  folder = await temporaryFolder();
  store = await LibSQLStore.open({ url: folder.database(), durability: "normal" });
  await store.db.$client.batch([
    `insert into workflow_runs (run_id, workflow_id, status, worker_id, error, created_at, started_at, completed_at, updated_at)
     with recursive numbers (n) as (select 0 union all select n + 1 from numbers where n < ${runCount - 1})
     select format('run-%06d', n), 'workflow-' || (n % 7),
       case n % 10 when 0 then 'PENDING' when 1 then 'RUNNING' when 2 then 'FAILED' else 'COMPLETED' end,
       iif(n % 10 = 1, 'worker', null), iif(n % 10 = 2, '{"code":"E_' || (n % 3) || '"}', null),
       n * 1000, n * 1000, iif(n % 10 > 1, n * 1000 + n % 97, null), n * 1000 + 100
     from numbers`,
    `insert into step_executions (run_id, step_id, status, error, attempt, duration_ms, created_at, completed_at, updated_at, workflow_id)
     select run_id, 'a', status, error, 1, completed_at - started_at, created_at, completed_at, updated_at, workflow_id
     from workflow_runs`,
  ]);
}, 120_000);
afterAll(async () => {
  await store.close();
  await folder.remove();
});

const workflowId = "workflow-3";
const window = { since: new Date(runCount * 500), until: new Date(runCount * 510) };
const filters = {
  all: {},
  workflow: { workflowId },
  window,
  both: { workflowId, ...window },
};
type FilterName = keyof typeof filters;

const byRunId = (table: string) => `sqlite_autoindex_${table}_1 (run_id=?)`;
const ofRun = byRunId("workflow_runs");
const steps = byRunId("step_executions");
const byWorkflow = "workflow_runs_workflow_idx (workflow_id=?)";
const byWorkflowAndStatus = "workflow_runs_workflow_idx (workflow_id=? AND status=?)";
const inWindow = (index: string, time: string) => `${index} (${time}>? AND ${time}<?)`;
const runsOf = (end: string) => `workflow_runs_completed_at_idx ${end}`;
const runsInWindow = inWindow("workflow_runs_completed_at_idx", "completed_at");
const covering = (walk: string) => `${walk} covering`;

const stepsIndex = (terms: string) => `step_executions_workflow_idx${terms}`;
const workflowsOfSteps = [covering(stepsIndex("")), covering(stepsIndex(" (workflow_id>?)"))];
const idsOfSteps = ["", " AND step_id>?"].map((step) =>
  covering(stepsIndex(` (workflow_id=?${step})`)),
);
const stepsInWindow = stepsIndex(
  " (workflow_id=? AND step_id=? AND completed_at>? AND completed_at<?)",
);

/**
 * The walks of a report on finished steps. `uses` is how often it uses the workflow, which rows of older versions find in
 * their run.
 */
function stepPlans(found: (walk: string) => string, uses = 2): Record<FilterName, string[]> {
  const ofRuns = Array<string>(uses).fill(ofRun);
  return {
    // The report needs the whole index.
    all: [found(stepsIndex("")), ...ofRuns],
    workflow: [found(stepsIndex(" (workflow_id=?)")), ofRun, ...ofRuns],
    window: [...workflowsOfSteps, ...idsOfSteps, found(stepsInWindow), ...ofRuns],
    both: [...idsOfSteps, found(stepsInWindow), ofRun, ...ofRuns],
  };
}

/** Whether there are rows without a workflow is one search. */
const hasOldRows = covering(stepsIndex(" (workflow_id=?)"));

/**
 * The walks of `stepDurations`, which reads one step after another, unless there are rows of older versions: for the
 * sample, for the counts, and for the step as a whole if the sample misleads.
 */
function sortedStepPlans(): Record<FilterName, string[]> {
  const ofStep = thrice(stepsIndex(" (workflow_id=? AND step_id=? AND completed_at>?)"));
  const known = [...workflowsOfSteps, ...idsOfSteps];
  const searched = [hasOldRows, ...thrice(stepsInWindow)];
  const old = [hasOldRows, covering(stepsInWindow)];
  return {
    all: [...known, hasOldRows, ...ofStep, hasOldRows, covering(stepsIndex("")), ofRun],
    workflow: [
      ...idsOfSteps,
      hasOldRows,
      ...ofStep,
      hasOldRows,
      covering(stepsIndex(" (workflow_id=?)")),
      ofRun,
      ofRun,
    ],
    window: [...known, ...searched, ...known, ...old, ofRun],
    both: [...idsOfSteps, ...searched, ...idsOfSteps, ...old, ofRun, ofRun],
  };
}

/**
 * The walks of `reliabilityOverTime`, which searches the first time of a step, the first of the next span, and the rows of a
 * span. Rows of older versions are read one by one.
 */
function spanPlans(): Record<FilterName, string[]> {
  const step = "workflow_id=? AND step_id=? AND completed_at>?";
  const spans = [step, step, `${step} AND completed_at<?`].map((terms) =>
    covering(stepsIndex(` (${terms})`)),
  );
  const spansInWindow = Array<string>(3).fill(covering(stepsInWindow));
  const known = [...workflowsOfSteps, ...idsOfSteps];
  const old = stepPlans(covering);
  return {
    all: [...known, hasOldRows, ...spans, hasOldRows, ...old.all],
    workflow: [...idsOfSteps, hasOldRows, ...spans, hasOldRows, ...old.workflow],
    window: [...known, hasOldRows, ...spansInWindow, ...known, hasOldRows, ...old.window.slice(4)],
    both: [
      ...idsOfSteps,
      hasOldRows,
      ...spansInWindow,
      ...idsOfSteps,
      hasOldRows,
      ...old.both.slice(2),
    ],
  };
}

const children = ["step_executions", "step_attempts", "step_outputs", "workflow_state"];
const storagePlan = (ofRuns: string) => [ofRuns, ...children.map(byRunId)];
const createdInWindow = inWindow("workflow_runs_created_at_idx", "created_at");

/** The walks of a report on runs by `createdAt`, which needs columns that no index has. */
const startedRuns = {
  all: ["workflow_runs"],
  workflow: [byWorkflow],
  window: [createdInWindow],
  both: [byWorkflow],
};

const workflowsOfRuns = ["", " (workflow_id>?)"].map((terms) =>
  covering(`workflow_runs_workflow_idx${terms}`),
);
/** For the sample, for the counts, and for the workflow as a whole if the sample misleads. */
const thrice = (walk: string) => Array<string>(3).fill(covering(walk));
const runsOfWorkflow = thrice(byWorkflowAndStatus);
const createdFrom = "workflow_runs_workflow_idx (workflow_id=? AND status=? AND created_at>?)";
const createdOfStatus =
  "workflow_runs_workflow_idx (workflow_id=? AND status=? AND created_at>? AND created_at<?)";
const createdOfWorkflow = thrice(createdOfStatus);
const ended = "workflow_runs_ended_idx (workflow_id=? AND status=? AND completed_at>?)";
const endedFrom = covering(ended);
const endedOfStatus = covering(ended.replace(")", " AND completed_at<?)"));

/** The walks of each report through the tables: the index, its search terms, and whether it is covering. */
const plans: Record<ReportName, Record<FilterName, string[]>> = {
  throughput: {
    // For both times: the first of a group, the first of the next span, and the rows of a span.
    all: [
      ...workflowsOfRuns,
      covering(byWorkflowAndStatus),
      covering(createdFrom),
      covering(createdOfStatus),
      covering(runsOf("(completed_at>?)")),
      covering(runsOf("(completed_at>?)")),
      covering(runsInWindow),
    ],
    workflow: [covering(byWorkflow), endedFrom],
    window: [
      ...workflowsOfRuns,
      ...createdOfWorkflow,
      ...Array<string>(3).fill(covering(runsInWindow)),
    ],
    both: [covering(byWorkflow), covering(runsInWindow)],
  },
  runDurations: {
    all: [...workflowsOfRuns, ...runsOfWorkflow],
    workflow: runsOfWorkflow,
    window: [covering(runsInWindow)],
    both: [covering(runsInWindow)],
  },
  durationsOverTime: {
    // The first time of a workflow, the first of the next span, and the rows of a span.
    all: [...workflowsOfRuns, endedFrom, endedFrom, endedOfStatus],
    workflow: [endedFrom, endedFrom, endedOfStatus],
    window: [...workflowsOfRuns, endedOfStatus, endedOfStatus, endedOfStatus],
    both: [endedOfStatus, endedOfStatus, endedOfStatus],
  },
  queueLatency: {
    all: [...workflowsOfRuns, ...thrice(byWorkflow)],
    workflow: thrice(byWorkflow),
    window: [...workflowsOfRuns, ...createdOfWorkflow],
    both: createdOfWorkflow,
  },
  workflowVersions: startedRuns,
  workers: {
    all: ["workflow_runs_status_idx (status=?)"],
    workflow: [byWorkflowAndStatus],
    window: ["workflow_runs_status_idx (status=? AND created_at>? AND created_at<?)"],
    both: [
      "workflow_runs_workflow_idx (workflow_id=? AND status=? AND created_at>? AND created_at<?)",
    ],
  },
  queueDepth: {
    all: ["workflow_runs_status_idx (status=?)"],
    workflow: [covering("workflow_runs_ready_idx (workflow_id=?)")],
    window: ["workflow_runs_status_idx (status=?)"],
    both: [covering("workflow_runs_ready_idx (workflow_id=?)")],
  },
  stepFunnel: {
    // Unfinished steps are in no index.
    all: [
      covering(stepsIndex(" (workflow_id>?)")),
      ofRun,
      hasOldRows,
      ofRun,
      ofRun,
      ofRun,
      "step_executions",
      ofRun,
      ofRun,
      ofRun,
    ],
    workflow: [covering(byWorkflow), steps],
    window: [createdInWindow, steps],
    both: [covering(byWorkflow), steps],
  },
  reliabilityOverTime: spanPlans(),
  stepDurations: sortedStepPlans(),
  stepReliability: {
    ...stepPlans(covering),
    all: [covering(stepsIndex("")), hasOldRows, hasOldRows, ...stepPlans(covering).all],
    workflow: [
      covering(stepsIndex(" (workflow_id=?)")),
      hasOldRows,
      hasOldRows,
      ...stepPlans(covering).workflow,
    ],
  },
  slowestSteps: stepPlans(covering, 1),
  // The errors are in the rows of failed runs.
  stepErrorCodes: stepPlans((walk) => walk),
  errorCodes: {
    all: ["workflow_runs_status_idx (status=?)"],
    workflow: [ended],
    window: [runsInWindow],
    both: [runsInWindow],
  },
  // SQLite evaluates the last activity of a run again wherever the query uses it.
  stuckRuns: {
    all: ["workflow_runs_status_idx (status=?)", steps, steps, steps],
    workflow: [byWorkflowAndStatus, steps, steps, steps],
    window: [
      "workflow_runs_status_idx (status=? AND created_at>? AND created_at<?)",
      steps,
      steps,
      steps,
    ],
    both: [
      "workflow_runs_workflow_idx (workflow_id=? AND status=? AND created_at>? AND created_at<?)",
      steps,
      steps,
      steps,
    ],
  },
  oldestPending: {
    all: ["workflow_runs_status_idx (status=?)", "workflow_runs_wake_idx (wake_at<?)"],
    workflow: [
      "workflow_runs_workflow_idx (workflow_id=? AND status=?)",
      "workflow_runs_wake_idx (wake_at<?)",
    ],
    window: [
      "workflow_runs_status_idx (status=? AND created_at>? AND created_at<?)",
      "workflow_runs_wake_idx (wake_at<?)",
    ],
    both: [
      "workflow_runs_workflow_idx (workflow_id=? AND status=? AND created_at>? AND created_at<?)",
      "workflow_runs_wake_idx (wake_at<?)",
    ],
  },
  storage: {
    // The report needs the size of every run: without a filter it is the only one that scans a table.
    all: storagePlan("workflow_runs"),
    workflow: storagePlan(byWorkflow),
    window: storagePlan(createdInWindow),
    both: storagePlan(byWorkflow),
  },
};

const stepReports = [
  "reliabilityOverTime",
  "stepDurations",
  "stepReliability",
  "slowestSteps",
  "stepErrorCodes",
] as const satisfies readonly ReportName[];

const describeWalk = ({ table, index, terms, covering: alone }: Walk): string =>
  `${index ?? table}${terms && ` ${terms}`}${alone ? " covering" : ""}`;

type Report = (
  db: WorkflowDatabase,
  options: ReportOptions,
) => PromiseLike<unknown[]> & { toSQL(): { sql: string } };

describe.each(Object.keys(filters) as FilterName[])("over 100 k runs, asked for %s:", (filter) => {
  test.each(reportNames)("%s", async (name) => {
    const report: Report = reports[name];
    const query = report(store.db, filters[filter]);
    const walks = await explainWalks(store.db.$client as LocalClient, query.toSQL().sql);
    expect(walks.map(describeWalk)).toEqual(plans[name][filter]);
    expect((await query).length).toBeGreaterThan(0);
  });
});

test("durations over time of a version are read per bucket of its workflow, and those of all workflows in one go", async () => {
  const walksOf = async (options: ReportOptions) => {
    const { sql } = reports.durationsOverTime(store.db, options).toSQL();
    return (await explainWalks(store.db.$client as LocalClient, sql)).map(describeWalk);
  };
  const inBucket = ended.replace(")", " AND completed_at<?)");
  const version = { workflowVersion: "1" };
  expect(await walksOf({ workflowId, ...version })).toEqual([endedFrom, endedFrom, inBucket]);
  expect(await walksOf(version)).toEqual([runsOf("(completed_at>?)")]);
  expect(await walksOf({ tags: {} })).toEqual(plans.durationsOverTime.all);
});

test("a page of the oldest pending runs is read in order, and only runs of the same time are sorted", async () => {
  const { sql } = reports.oldestPending(store.db).limit(10).toSQL();
  const { rows } = await store.db.$client.execute(`explain query plan ${sql}`);
  const sorts = rows
    .map(({ detail }) => detail as string)
    .filter((detail) => detail.includes("B-TREE"));
  expect(sorts).toEqual(["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"]);
});

test("after ANALYZE, the reports on steps still search each step in a window", async () => {
  await store.db.$client.execute("analyze");
  for (const name of stepReports) {
    for (const filter of ["window", "both"] as const) {
      const { sql } = (reports[name] as Report)(store.db, filters[filter]).toSQL();
      const walks = await explainWalks(store.db.$client as LocalClient, sql);
      expect({ [name]: walks.map(describeWalk) }).toEqual({ [name]: plans[name][filter] });
    }
  }
});
