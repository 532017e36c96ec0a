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
    `insert into workflow_runs (run_id, workflow_id, status, error, created_at, started_at, completed_at, updated_at)
     with recursive numbers (n) as (select 0 union all select n + 1 from numbers where n < ${runCount - 1})
     select format('run-%06d', n), 'workflow-' || (n % 7),
       case n % 10 when 0 then 'PENDING' when 1 then 'RUNNING' when 2 then 'FAILED' else 'COMPLETED' end,
       iif(n % 10 = 2, '{"code":"E_' || (n % 3) || '"}', null),
       n * 1000, n * 1000, iif(n % 10 > 1, n * 1000 + n % 97, null), n * 1000 + 100
     from numbers`,
    `insert into step_executions (run_id, step_id, status, error, attempt, duration_ms, created_at, completed_at, updated_at)
     select run_id, 'a', status, error, 1, completed_at - started_at, created_at, completed_at, updated_at
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
const stepsInWindow = inWindow("step_executions_completed_at_idx", "completed_at");
const allSteps = "step_executions_completed_at_idx (completed_at>?)";
const covering = (walk: string) => `${walk} covering`;

/** Every step that ended, and its run; of one workflow, by its runs. Steps are found in the index alone, or not. */
const stepPlans = (found: (walk: string) => string): Record<FilterName, string[]> => ({
  // All of the index is what is asked for.
  all: [found(allSteps), ofRun],
  workflow: [covering(byWorkflow), steps],
  window: [found(stepsInWindow), ofRun],
  both: [found(stepsInWindow), ofRun],
});

const children = ["step_executions", "step_attempts", "step_outputs", "workflow_state"];
const storagePlan = (ofRuns: string, ofChildren: string) => [
  ofRuns,
  ...children.flatMap((table) => [ofChildren, byRunId(table)]),
];
const createdInWindow = inWindow("workflow_runs_created_at_idx", "created_at");

/** How each report goes through the tables: the index, what it is searched by, and whether no row is read. */
const plans: Record<ReportName, Record<FilterName, string[]>> = {
  throughput: {
    // Every run counts: all of two indexes, and no row.
    all: [covering("workflow_runs_workflow_idx"), covering(runsOf("(completed_at>?)"))],
    workflow: [covering(byWorkflow), byWorkflowAndStatus],
    window: [createdInWindow, covering(runsInWindow)],
    both: [covering(byWorkflow), covering(runsInWindow)],
  },
  runDurations: {
    // Every run that ended counts: all of the index, and no row.
    all: [covering(runsOf("(completed_at>?)"))],
    workflow: [byWorkflowAndStatus],
    window: [covering(runsInWindow)],
    both: [covering(runsInWindow)],
  },
  stepDurations: stepPlans(covering),
  stepReliability: stepPlans(covering),
  slowestSteps: stepPlans(covering),
  // The rows of those that failed are read for their errors.
  stepErrorCodes: stepPlans((walk) => walk),
  errorCodes: {
    all: ["workflow_runs_status_idx (status=?)"],
    workflow: [byWorkflowAndStatus],
    window: [runsInWindow],
    both: [runsInWindow],
  },
  // SQLite repeats the question when a run was last active wherever the answer is used.
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
    // The size of every run is asked for: the one report that goes through a table, and only without a filter.
    all: storagePlan("workflow_runs", covering("workflow_runs_workflow_idx")),
    workflow: storagePlan(byWorkflow, covering(byWorkflow)),
    window: storagePlan(createdInWindow, createdInWindow),
    both: storagePlan(byWorkflow, covering(byWorkflow)),
  },
};

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

test("a page of the oldest pending runs is found in order: no more runs are sorted than are pending since one time", async () => {
  const { sql } = reports.oldestPending(store.db).limit(10).toSQL();
  const { rows } = await store.db.$client.execute(`explain query plan ${sql}`);
  const sorts = rows
    .map(({ detail }) => detail as string)
    .filter((detail) => detail.includes("B-TREE"));
  expect(sorts).toEqual(["USE TEMP B-TREE FOR RIGHT PART OF ORDER BY"]);
});
