import { drizzle } from "drizzle-orm/libsql/web";
import { describe, expect, test } from "vitest";
import { createClient } from "../../src/client/create-client.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { reports, type ReportName } from "./support/all-reports.ts";
import { workflowRuns } from "../../src/schema/tables.ts";

const db = drizzle({ client: createClient(":memory:") });

/** A report as JavaScript sees it, without types. */
type Untyped = (db: unknown, options?: unknown) => unknown;

function argumentRefusedBy(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return error.argument;
  }
}

const everywhere: readonly [refused: string, options: unknown][] = [
  ["options", null],
  ["options", "workflow-1"],
  ["options.workflow", { workflow: "w" }],
  ["options.workflowId", { workflowId: "" }],
  ["options.workflowId", { workflowId: ["a", "b"] }],
  ["options.workflowVersion", { workflowVersion: 1 }],
  ["options.resourceId", { resourceId: "" }],
  ["options.tags", { tags: { n: 1 } }],
  ["options.since", { since: 0 }],
  ["options.since", { since: new Date(Number.NaN) }],
  ["options.until", { until: "2026-01-01" }],
  ["options.until", { since: new Date(1), until: new Date(1) }],
  ["options.until", { since: new Date(2), until: new Date(1) }],
  ["options.tables", { tables: "app_" }],
  ["options.tables.stepExecutions", { tables: { workflowRuns } }],
];

describe.each(Object.entries(reports))("%s names what it refuses:", (_, report) => {
  const call = report as Untyped;

  test.each(everywhere)("%s in %o", (refused, options) => {
    expect(argumentRefusedBy(() => call(db, options))).toBe(refused);
  });

  test.each([undefined, null, {}, { select: () => undefined }])("the database %o", (other) => {
    expect(argumentRefusedBy(() => call(other))).toBe("db");
  });

  test("nothing, when options are undefined", () => {
    const absent = { workflowId: undefined, since: undefined, until: undefined, tables: undefined };
    expect(argumentRefusedBy(() => call(db, absent))).toBe(null);
    expect(argumentRefusedBy(() => call(db, undefined))).toBe(null);
  });
});

const own: readonly [report: ReportName, refused: string, options: unknown][] = [
  ["throughput", "options.per", { per: "minute" }],
  ["throughput", "options.zone", { zone: "Mars/Olympus" }],
  ["durationsOverTime", "options.zone", { zone: "" }],
  ["reliabilityOverTime", "options.per", { per: "year" }],
  ["throughput", "options.status", { status: "COMPLETED" }],
  ["runDurations", "options.status", { status: "DONE" }],
  ["runDurations", "options.status", { status: [] }],
  ["runDurations", "options.status", { status: "SKIPPED" }],
  ["stepDurations", "options.status", { status: ["COMPLETED", "DONE"] }],
  ["stuckRuns", "options.idleMs", { idleMs: -1 }],
  ["stuckRuns", "options.idleMs", { idleMs: 1.5 }],
  ["stuckRuns", "options.now", { now: 5 }],
  ["oldestPending", "options.now", { now: new Date(Number.NaN) }],
  ["oldestPending", "options.idleMs", { idleMs: 1 }],
];

test.each(own)("%s refuses %s in %o", (report, refused, options) => {
  expect(argumentRefusedBy(() => (reports[report] as Untyped)(db, options))).toBe(refused);
});
