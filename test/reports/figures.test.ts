import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bucketSizes } from "../../src/reports/query/buckets.ts";
import {
  durationsOverTime,
  errorCodes,
  oldestPending,
  queueDepth,
  queueLatency,
  reliabilityOverTime,
  runDurations,
  slowestSteps,
  stepDurations,
  stepErrorCodes,
  stepFunnel,
  stepReliability,
  storage,
  stuckRuns,
  throughput,
  workers,
  workflowVersions,
} from "../../src/reports/index.ts";
import { runStatuses, stepStatuses } from "../../src/statuses.ts";
import { LibSQLStore, type WorkflowDatabase } from "../../src/stores/libsql/libsql-store.ts";
import { emptyDatabase } from "../support/databases.ts";
import { seeded } from "../support/seed.ts";
import { startSqld } from "../support/sqld.ts";
import { temporaryFolder } from "../support/temporary.ts";
import * as plain from "./support/plain-figures.ts";
import {
  randomBundles,
  randomFilter,
  randomTime,
  rowsOf,
  zones,
  type Rows,
} from "./support/random-data.ts";

/** Random arguments for the reports. */
const comparisons = fc.record({
  filter: randomFilter,
  per: fc.constantFrom(...bucketSizes),
  zone: fc.option(fc.constantFrom(...zones), { nil: undefined }),
  runStatus: fc.uniqueArray(fc.constantFrom(...runStatuses), { minLength: 1 }),
  stepStatus: fc.uniqueArray(fc.constantFrom(...stepStatuses), { minLength: 1 }),
  now: randomTime,
  idleMs: fc.constantFrom(0, 1, 3_600_000, 36_000_000),
});

type Choice = typeof comparisons extends fc.Arbitrary<infer Value> ? Value : never;

const reports: Readonly<
  Record<
    string,
    (
      db: WorkflowDatabase,
      data: Rows,
      choice: Choice,
    ) => readonly [PromiseLike<unknown[]>, unknown[]]
  >
> = {
  throughput: (db, data, { filter, per, zone }) => [
    throughput(db, { ...filter, per, zone }),
    plain.throughput(data, filter, { per, zone }),
  ],
  durationsOverTime: (db, data, { filter, per, zone, runStatus: status }) => [
    durationsOverTime(db, { ...filter, per, zone, status }),
    plain.durationsOverTime(data, filter, status, { per, zone }),
  ],
  reliabilityOverTime: (db, data, { filter, per, zone }) => [
    reliabilityOverTime(db, { ...filter, per, zone }),
    plain.reliabilityOverTime(data, filter, { per, zone }),
  ],
  queueLatency: (db, data, { filter }) => [
    queueLatency(db, filter),
    plain.queueLatency(data, filter),
  ],
  workflowVersions: (db, data, { filter }) => [
    workflowVersions(db, filter),
    plain.workflowVersions(data, filter),
  ],
  workers: (db, data, { filter, now }) => [
    workers(db, { ...filter, now }),
    plain.workers(data, filter, now),
  ],
  queueDepth: (db, data, { filter, now }) => [
    queueDepth(db, { ...filter, now }),
    plain.queueDepth(data, filter, now),
  ],
  stepFunnel: (db, data, { filter }) => [stepFunnel(db, filter), plain.stepFunnel(data, filter)],
  runDurations: (db, data, { filter, runStatus: status }) => [
    runDurations(db, { ...filter, status }),
    plain.runDurations(data, filter, status),
  ],
  "runDurations of what completed": (db, data, { filter }) => [
    runDurations(db, filter),
    plain.runDurations(data, filter, ["COMPLETED"]),
  ],
  stepDurations: (db, data, { filter, stepStatus: status }) => [
    stepDurations(db, { ...filter, status }),
    plain.stepDurations(data, filter, status),
  ],
  "stepDurations of what completed": (db, data, { filter }) => [
    stepDurations(db, filter),
    plain.stepDurations(data, filter, ["COMPLETED"]),
  ],
  stepReliability: (db, data, { filter }) => [
    stepReliability(db, filter),
    plain.stepReliability(data, filter),
  ],
  errorCodes: (db, data, { filter }) => [errorCodes(db, filter), plain.errorCodes(data, filter)],
  stepErrorCodes: (db, data, { filter }) => [
    stepErrorCodes(db, filter),
    plain.stepErrorCodes(data, filter),
  ],
  stuckRuns: (db, data, { filter, now, idleMs }) => [
    stuckRuns(db, { ...filter, now, idleMs }),
    plain.stuckRuns(data, filter, now, idleMs),
  ],
  oldestPending: (db, data, { filter, now }) => [
    oldestPending(db, { ...filter, now }),
    plain.oldestPending(data, filter, now),
  ],
  slowestSteps: (db, data, { filter }) => [
    slowestSteps(db, filter),
    plain.slowestSteps(data, filter),
  ],
  storage: (db, data, { filter }) => [storage(db, filter), plain.storage(data, filter)],
};

const rounds = Number(process.env["REPORT_ROUNDS"] ?? 100);

describe.each([
  ["a file", rounds],
  ["a server", Math.ceil(rounds / 3)],
])("on %s, over random data, the figures are those of plain TypeScript:", (kind, numRuns) => {
  let store: LibSQLStore;
  let end: () => Promise<void>;
  beforeAll(async () => {
    if (kind === "a file") {
      const folder = await temporaryFolder();
      store = await LibSQLStore.open({ url: folder.database(), durability: "normal" });
      end = () => folder.remove();
    } else {
      const server = await startSqld();
      store = await LibSQLStore.open({ url: server.httpUrl });
      end = () => server.stop();
    }
  });
  afterAll(async () => {
    await store.close();
    await end();
  });

  test("all reports", async () => {
    const reported: Record<string, number> = {};
    await fc.assert(
      fc.asyncProperty(
        randomBundles,
        fc.array(comparisons, { minLength: 3, maxLength: 3 }),
        fc.constantFrom("none", "some", "all"),
        async (bundles, choices, old) => {
          await emptyDatabase(store.db);
          await store.writeBundles(bundles, { onConflict: "fail" });
          // Rows that an older version wrote do not have the id of their workflow.
          const isOld = { none: "false", some: "rowid % 3 = 0", all: "true" }[old];
          await store.db.run(`update step_executions set workflow_id = null where ${isOld}`);
          const data = rowsOf(bundles);
          for (const choice of choices) {
            for (const [name, compare] of Object.entries(reports)) {
              const [asked, expected] = compare(store.db, data, choice);
              const rows = await asked;
              expect({ [name]: rows }).toStrictEqual({ [name]: expected });
              reported[name] = (reported[name] ?? 0) + rows.length;
            }
          }
        },
      ),
      { ...seeded, numRuns },
    );
    // No report agreed only because it was always empty, which a few rounds cannot rule out.
    if (numRuns < 30) return;
    for (const name of Object.keys(reports)) expect(reported[name]).toBeGreaterThan(0);
  });
});
