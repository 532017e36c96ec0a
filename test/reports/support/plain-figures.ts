import type { RunStatus, StepStatus } from "../../../src/statuses.ts";
import type { BucketSize } from "../../../src/reports/query/buckets.ts";
import type { StepExecution, WorkflowRun } from "../../../src/schema/rows.ts";
import type { Filter, Rows } from "./random-data.ts";

/*
 * Calculates the figures of the reports from all rows in plain TypeScript. The queries must agree with them.
 */

const isIn = (time: Date | null, { since, until }: Filter): time is Date =>
  time !== null && (since === undefined || time >= since) && (until === undefined || time < until);

const isOf = (run: WorkflowRun, filter: Filter): boolean =>
  (filter.workflowId === undefined || run.workflowId === filter.workflowId) &&
  (filter.workflowVersion === undefined || run.workflowVersion === filter.workflowVersion) &&
  (filter.resourceId === undefined || run.resourceId === filter.resourceId) &&
  Object.entries(filter.tags ?? {}).every(([name, value]) => run.tags?.[name] === value);

type Key = string | number | Date | null;

/** Compares as SQLite does: null first, numbers by size, text by its bytes. */
function compareKeys(a: Key, b: Key): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  if (typeof a === "string" || typeof b === "string") {
    return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)));
  }
  return Number(a) - Number(b);
}

function sortBy<Row>(rows: readonly Row[], ...keys: ((row: Row) => Key)[]): Row[] {
  return rows.toSorted((a, b) => {
    for (const key of keys) {
      const order = compareKeys(key(a), key(b));
      if (order !== 0) return order;
    }
    return 0;
  });
}

/** Groups rows by key and applies `describe` to each group. */
function groupBy<Row, Group>(
  rows: readonly Row[],
  key: (row: Row) => unknown,
  describe: (group: Row[]) => Group,
): Group[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const name = JSON.stringify(key(row));
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups.values()].map(describe);
}

const first = <Row>(rows: readonly Row[]): Row => {
  const [row] = rows;
  if (row === undefined) throw new Error("a group is never empty");
  return row;
};
const count = <Row>(rows: readonly Row[], fits: (row: Row) => boolean): number =>
  rows.filter(fits).length;
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const bytes = (...values: unknown[]): number =>
  sum(values.map((value) => (value === null ? 0 : jsonBytes(value))));

function percentiles(durations: readonly number[]) {
  const sorted = durations.toSorted((a, b) => a - b);
  /** The smallest value that at least `percent` of the values do not exceed. */
  const at = (percent: number) =>
    sorted.find(
      (value) => count(durations, (each) => each <= value) * 100 >= percent * sorted.length,
    );
  return { p50Ms: at(50), p90Ms: at(90), p95Ms: at(95), p99Ms: at(99), maxMs: sorted.at(-1) };
}

export interface Buckets {
  readonly per: BucketSize;
  readonly zone: string | undefined;
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** What the clocks of a zone show, as if it were UTC. */
function localTime(time: number, zone: string): number {
  let clock = clocks.get(zone);
  if (clock === undefined) {
    const numeric = "numeric" as const;
    clock = new Intl.DateTimeFormat("en", {
      timeZone: zone,
      hourCycle: "h23",
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
      second: numeric,
    });
    clocks.set(zone, clock);
  }
  const parts = Object.fromEntries(
    clock.formatToParts(time).map(({ type, value }) => [type, Number(value)]),
  ) as Record<string, number>;
  const { year, month, day, hour, minute, second } = parts;
  const ms = ((time % 1000) + 1000) % 1000;
  return Date.UTC(year!, month! - 1, day, hour, minute, second, ms);
}

/** The local day on which a bucket begins. */
function firstDay(local: number, per: BucketSize): number {
  const day = new Date(local);
  day.setUTCHours(0, 0, 0, 0);
  if (per === "week") day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  if (per === "month") day.setUTCDate(1);
  return day.getTime();
}

const found = new Map<string, number>();

/** The first time with the same local hour, day, week or month, which is found by going back in small steps. */
function startOf(time: Date, { per, zone = "UTC" }: Buckets): Date {
  const at = time.getTime();
  const local = localTime(at, zone);
  if (per === "hour") return new Date(at - (((local % 3_600_000) + 3_600_000) % 3_600_000));
  const day = firstDay(local, per);
  const key = `${zone} ${per} ${day}`;
  const known = found.get(key);
  if (known !== undefined) return new Date(known);
  const isInside = (each: number) => firstDay(localTime(each, zone), per) === day;
  const firstBefore = (from: number): number => {
    let begin = from;
    for (const step of [86_400_000, 900_000, 1000, 1]) while (isInside(begin - step)) begin -= step;
    return begin;
  };
  let start = firstBefore(at);
  // In St. John's, clocks once went back after the first minute of a day, which then began again.
  for (let minute = 1; minute <= 60; minute++) {
    const earlier = start - minute * 60_000;
    if (isInside(earlier)) start = firstBefore(earlier);
  }
  found.set(key, start);
  return new Date(start);
}

export function throughput({ runs }: Rows, filter: Filter, buckets: Buckets) {
  const events = runs
    .filter((run) => isOf(run, filter))
    .flatMap(({ workflowId, status, createdAt, completedAt }) => [
      { workflowId, time: createdAt, what: "created" },
      { workflowId, time: completedAt, what: status },
    ])
    .flatMap(({ workflowId, time, what }) =>
      isIn(time, filter) && what !== "PENDING" && what !== "RUNNING"
        ? [{ workflowId, at: startOf(time, buckets), what }]
        : [],
    );
  const rows = groupBy(
    events,
    ({ at, workflowId }) => [at, workflowId],
    (group) => ({
      bucketStart: first(group).at,
      workflowId: first(group).workflowId,
      created: count(group, ({ what }) => what === "created"),
      completed: count(group, ({ what }) => what === "COMPLETED"),
      failed: count(group, ({ what }) => what === "FAILED"),
      cancelled: count(group, ({ what }) => what === "CANCELLED"),
    }),
  );
  return sortBy(
    rows,
    (row) => row.bucketStart,
    (row) => row.workflowId,
  );
}

export function runDurations({ runs }: Rows, filter: Filter, statuses: readonly RunStatus[]) {
  const measured = runs.flatMap(({ workflowId, startedAt, completedAt, ...run }) =>
    isOf({ workflowId, startedAt, completedAt, ...run }, filter) &&
    isIn(completedAt, filter) &&
    startedAt !== null &&
    statuses.includes(run.status)
      ? [{ workflowId, ms: Math.max(0, completedAt.getTime() - startedAt.getTime()) }]
      : [],
  );
  const rows = groupBy(
    measured,
    ({ workflowId }) => workflowId,
    (group) => ({
      workflowId: first(group).workflowId,
      runs: group.length,
      ...percentiles(group.map(({ ms }) => ms)),
    }),
  );
  return sortBy(rows, (row) => row.workflowId);
}

export function durationsOverTime(
  { runs }: Rows,
  filter: Filter,
  statuses: readonly RunStatus[],
  buckets: Buckets,
) {
  const measured = runs.flatMap((run) =>
    isOf(run, filter) &&
    isIn(run.completedAt, filter) &&
    run.startedAt !== null &&
    statuses.includes(run.status)
      ? [
          {
            at: startOf(run.completedAt, buckets),
            workflowId: run.workflowId,
            ms: Math.max(0, run.completedAt.getTime() - run.startedAt.getTime()),
          },
        ]
      : [],
  );
  const rows = groupBy(
    measured,
    ({ at, workflowId }) => [at, workflowId],
    (group) => ({
      bucketStart: first(group).at,
      workflowId: first(group).workflowId,
      runs: group.length,
      ...percentiles(group.map(({ ms }) => ms)),
    }),
  );
  return sortBy(
    rows,
    (row) => row.bucketStart,
    (row) => row.workflowId,
  );
}

export function queueLatency({ runs }: Rows, filter: Filter) {
  const waited = runs.flatMap((run) =>
    isOf(run, filter) && isIn(run.createdAt, filter) && run.startedAt !== null
      ? [{ ...run, ms: Math.max(0, run.startedAt.getTime() - run.createdAt.getTime()) }]
      : [],
  );
  const rows = groupBy(
    waited,
    ({ workflowId }) => workflowId,
    (group) => ({
      workflowId: first(group).workflowId,
      runs: group.length,
      ...percentiles(group.map(({ ms }) => ms)),
    }),
  );
  return sortBy(rows, (row) => row.workflowId);
}

export function workflowVersions({ runs }: Rows, filter: Filter) {
  const chosen = runs.filter((run) => isOf(run, filter) && isIn(run.createdAt, filter));
  const rows = groupBy(
    chosen,
    ({ workflowId, workflowVersion }) => [workflowId, workflowVersion],
    (group) => {
      const having = (status: RunStatus) => count(group, (run) => run.status === status);
      const created = sortBy(group, (run) => run.createdAt);
      const durations = group.flatMap(({ status, startedAt, completedAt }) =>
        status === "COMPLETED" && startedAt !== null && completedAt !== null
          ? [Math.max(0, completedAt.getTime() - startedAt.getTime())]
          : [],
      );
      const [completed, failed] = [having("COMPLETED"), having("FAILED")];
      const none = { p50Ms: null, p90Ms: null, p95Ms: null, p99Ms: null, maxMs: null };
      return {
        workflowId: first(group).workflowId,
        workflowVersion: first(group).workflowVersion,
        runs: group.length,
        pending: having("PENDING"),
        running: having("RUNNING"),
        completed,
        failed,
        cancelled: having("CANCELLED"),
        failureRate: completed + failed === 0 ? null : failed / (completed + failed),
        firstAt: first(created).createdAt,
        lastAt: first(created.toReversed()).createdAt,
        ...(durations.length === 0 ? none : percentiles(durations)),
      };
    },
  );
  return sortBy(
    rows,
    (row) => row.workflowId,
    (row) => row.firstAt,
    (row) => row.workflowVersion,
  );
}

export function workers({ runs }: Rows, filter: Filter, now: Date) {
  const held = runs.filter(
    (run) =>
      run.status === "RUNNING" &&
      run.workerId !== null &&
      isOf(run, filter) &&
      isIn(run.createdAt, filter),
  );
  const rows = groupBy(
    held,
    ({ workerId }) => workerId,
    (group) => ({
      workerId: first(group).workerId,
      runs: group.length,
      workflows: new Set(group.map(({ workflowId }) => workflowId)).size,
      expired: count(
        group,
        ({ leaseExpiresAt }) => leaseExpiresAt !== null && leaseExpiresAt <= now,
      ),
      heldSince: extreme(group.map(({ claimedAt }) => claimedAt)).first,
      leaseExpiresAt: extreme(group.map(({ leaseExpiresAt }) => leaseExpiresAt)).last,
    }),
  );
  return sortBy(rows, (row) => row.workerId);
}

/** The first and the last of the times; null without one. */
function extreme(times: readonly (Date | null)[]) {
  const sorted = sortBy(
    times.filter((time) => time !== null),
    (time) => time,
  );
  return { first: sorted[0] ?? null, last: sorted.at(-1) ?? null };
}

export function queueDepth({ runs }: Rows, filter: Filter, now: Date) {
  const pending = runs.filter(
    (run) => run.status === "PENDING" && isOf(run, filter) && isIn(run.createdAt, filter),
  );
  const rows = groupBy(
    pending,
    ({ workflowId, workflowVersion }) => [workflowId, workflowVersion],
    (group) => {
      const ready = group.filter(({ wakeAt }) => wakeAt === null || wakeAt <= now);
      const since = extreme(ready.map(({ wakeAt, createdAt }) => wakeAt ?? createdAt)).first;
      return {
        workflowId: first(group).workflowId,
        workflowVersion: first(group).workflowVersion,
        ready: ready.length,
        sleeping: group.length - ready.length,
        pendingSince: since,
        waitingMs: since === null ? null : Math.max(0, now.getTime() - since.getTime()),
      };
    },
  );
  return sortBy(
    rows,
    (row) => row.workflowId,
    (row) => row.workflowVersion,
  );
}

export function stepFunnel({ runs, steps }: Rows, filter: Filter) {
  const byId = new Map(runs.map((run) => [run.runId, run]));
  const reached = steps.flatMap((step) => {
    const run = byId.get(step.runId);
    return run !== undefined && isOf(run, filter) && isIn(run.createdAt, filter)
      ? [{ run, step }]
      : [];
  });
  const rows = groupBy(
    reached,
    ({ run, step }) => [run.workflowId, step.stepId],
    (group) => {
      const having = (status: StepStatus) => count(group, ({ step }) => step.status === status);
      return {
        workflowId: first(group).run.workflowId,
        stepId: first(group).step.stepId,
        position: Math.min(...group.map(({ step }) => step.executionIndex)),
        reached: group.length,
        completed: having("COMPLETED"),
        skipped: having("SKIPPED"),
        failed: having("FAILED"),
        stopped: count(
          group,
          ({ run, step }) =>
            ["FAILED", "CANCELLED"].includes(run.status) &&
            !["COMPLETED", "SKIPPED"].includes(step.status),
        ),
      };
    },
  );
  return sortBy(
    rows,
    (row) => row.workflowId,
    (row) => row.position,
    (row) => row.stepId,
  );
}

interface EndedStep extends Omit<StepExecution, "completedAt"> {
  readonly workflowId: string;
  readonly completedAt: Date;
}

function endedSteps({ runs, steps }: Rows, filter: Filter): EndedStep[] {
  const byId = new Map(runs.map((run) => [run.runId, run]));
  return steps.flatMap((step) => {
    const run = byId.get(step.runId);
    return run !== undefined && isOf(run, filter) && isIn(step.completedAt, filter)
      ? [{ ...step, workflowId: run.workflowId, completedAt: step.completedAt }]
      : [];
  });
}

export function stepDurations(data: Rows, filter: Filter, statuses: readonly StepStatus[]) {
  const measured = endedSteps(data, filter).flatMap((step) =>
    step.durationMs !== null && statuses.includes(step.status)
      ? [{ ...step, ms: step.durationMs }]
      : [],
  );
  const rows = groupBy(
    measured,
    ({ workflowId, stepId }) => [workflowId, stepId],
    (group) => ({
      workflowId: first(group).workflowId,
      stepId: first(group).stepId,
      executions: group.length,
      ...percentiles(group.map(({ ms }) => ms)),
    }),
  );
  return sortBy(
    rows,
    (row) => row.workflowId,
    (row) => row.stepId,
  );
}

function reliability(group: readonly EndedStep[]) {
  const failed = count(group, ({ status }) => status === "FAILED");
  return {
    executions: group.length,
    failed,
    failureRate: failed / group.length,
    retried: count(group, ({ attempt }) => attempt > 1),
    retries: sum(group.map(({ attempt }) => Math.max(0, attempt - 1))),
  };
}

const tried = (data: Rows, filter: Filter) =>
  endedSteps(data, filter).filter(({ status }) => ["COMPLETED", "FAILED"].includes(status));

export function stepReliability(data: Rows, filter: Filter) {
  const rows = groupBy(
    tried(data, filter),
    ({ workflowId, stepId }) => [workflowId, stepId],
    (group) => ({
      workflowId: first(group).workflowId,
      stepId: first(group).stepId,
      ...reliability(group),
    }),
  );
  return sortBy(
    rows,
    (row) => row.workflowId,
    (row) => row.stepId,
  );
}

export function reliabilityOverTime(data: Rows, filter: Filter, buckets: Buckets) {
  const rows = groupBy(
    tried(data, filter),
    ({ completedAt, workflowId }) => [startOf(completedAt, buckets), workflowId],
    (group) => ({
      bucketStart: startOf(first(group).completedAt, buckets),
      workflowId: first(group).workflowId,
      ...reliability(group),
    }),
  );
  return sortBy(
    rows,
    (row) => row.bucketStart,
    (row) => row.workflowId,
  );
}

function textIn(error: unknown, property: "code" | "name"): string | null {
  if (typeof error !== "object" || error === null || !(property in error)) return null;
  const value = (error as Record<string, unknown>)[property];
  if (value === null) return null;
  return typeof value === "string" && !isJson(value) ? value : JSON.stringify(value);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

interface Failure {
  readonly workflowId: string;
  readonly error: unknown;
  readonly completedAt: Date;
}

/** The fields by which failures are grouped. */
function describeFailures(group: readonly Failure[]) {
  const at = sortBy(
    group.map(({ completedAt }) => completedAt),
    (time) => time,
  );
  return {
    code: textIn(first(group).error, "code"),
    name: textIn(first(group).error, "name"),
    firstAt: at[0],
    lastAt: at.at(-1),
  };
}

const errorKey = ({ error }: Failure) => [textIn(error, "code"), textIn(error, "name")];

export function errorCodes({ runs }: Rows, filter: Filter) {
  const failures = runs.flatMap((run) =>
    isOf(run, filter) && run.status === "FAILED" && isIn(run.completedAt, filter)
      ? [{ ...run, completedAt: run.completedAt }]
      : [],
  );
  const rows = groupBy(
    failures,
    (run) => [run.workflowId, errorKey(run)],
    (group) => ({
      workflowId: first(group).workflowId,
      runs: group.length,
      ...describeFailures(group),
    }),
  );
  return sortBy(
    rows,
    (row) => -row.runs,
    (row) => -Number(row.lastAt),
    (row) => row.workflowId,
    (row) => row.code,
    (row) => row.name,
  );
}

export function stepErrorCodes(data: Rows, filter: Filter) {
  const failures = endedSteps(data, filter).filter(({ status }) => status === "FAILED");
  const rows = groupBy(
    failures,
    (step) => [step.workflowId, step.stepId, errorKey(step)],
    (group) => ({
      workflowId: first(group).workflowId,
      stepId: first(group).stepId,
      executions: group.length,
      ...describeFailures(group),
    }),
  );
  return sortBy(
    rows,
    (row) => -row.executions,
    (row) => -Number(row.lastAt),
    (row) => row.workflowId,
    (row) => row.stepId,
    (row) => row.code,
    (row) => row.name,
  );
}

export function stuckRuns({ runs, steps }: Rows, filter: Filter, now: Date, idleMs: number) {
  const rows = runs
    .filter((run) => run.status === "RUNNING" && isOf(run, filter) && isIn(run.createdAt, filter))
    .map((run) => {
      const times = steps.flatMap(({ runId, updatedAt }) =>
        runId === run.runId ? [updatedAt.getTime()] : [],
      );
      const { runId, workflowId, resourceId, workerId, attempt, startedAt, leaseExpiresAt } = run;
      const lastActivityAt = Math.max(run.updatedAt.getTime(), ...times);
      return {
        runId,
        workflowId,
        resourceId,
        workerId,
        attempt,
        startedAt,
        leaseExpiresAt,
        lastActivityAt: new Date(lastActivityAt),
        idleMs: now.getTime() - lastActivityAt,
      };
    })
    .filter(
      ({ idleMs: idle, leaseExpiresAt }) =>
        idle >= idleMs || (leaseExpiresAt !== null && leaseExpiresAt <= now),
    );
  return sortBy(
    rows,
    (row) => row.lastActivityAt,
    (row) => row.runId,
  );
}

export function oldestPending({ runs }: Rows, filter: Filter, now: Date) {
  const rows = runs
    .filter(
      (run) =>
        run.status === "PENDING" &&
        isOf(run, filter) &&
        isIn(run.createdAt, filter) &&
        (run.wakeAt === null || run.wakeAt <= now),
    )
    .map(({ runId, workflowId, resourceId, attempt, createdAt, wakeAt }) => {
      const pendingSince = wakeAt ?? createdAt;
      const waitingMs = Math.max(0, now.getTime() - pendingSince.getTime());
      return { runId, workflowId, resourceId, attempt, createdAt, pendingSince, waitingMs };
    });
  return sortBy(
    rows,
    (row) => row.pendingSince,
    (row) => row.createdAt,
    (row) => row.runId,
  );
}

export function slowestSteps(data: Rows, filter: Filter) {
  const rows = endedSteps(data, filter).flatMap(
    ({ runId, stepId, workflowId, status, attempt, durationMs, completedAt }) =>
      durationMs === null
        ? []
        : [{ runId, stepId, workflowId, status, attempt, durationMs, completedAt }],
  );
  return sortBy(
    rows,
    (row) => -row.durationMs,
    (row) => row.runId,
    (row) => row.stepId,
  );
}

export function storage({ runs, steps, attempts, outputs, state }: Rows, filter: Filter) {
  const chosen = runs.filter((run) => isOf(run, filter) && isIn(run.createdAt, filter));
  const rows = groupBy(
    chosen,
    ({ workflowId }) => workflowId,
    (group) => {
      const ids = new Set(group.map(({ runId }) => runId));
      const mine = <Row extends { readonly runId: string }>(all: readonly Row[]) =>
        all.filter(({ runId }) => ids.has(runId));
      const held = {
        runs: group.length,
        steps: mine(steps).length,
        attempts: mine(attempts).length,
        outputs: mine(outputs).length,
        stateValues: mine(state).length,
        runBytes: sum(
          group.map((run) => bytes(run.input, run.output, run.error, run.context, run.tags)),
        ),
        stepBytes: sum(mine(steps).map((step) => bytes(step.input, step.inputFrom, step.error))),
        attemptBytes: sum(mine(attempts).map(({ error }) => bytes(error))),
        // JSON null counts as a value here.
        outputBytes: sum(mine(outputs).map(({ output }) => jsonBytes(output))),
        stateBytes: sum(mine(state).map(({ value }) => jsonBytes(value))),
      };
      const { runBytes, stepBytes, attemptBytes, outputBytes, stateBytes } = held;
      const totalBytes = runBytes + stepBytes + attemptBytes + outputBytes + stateBytes;
      return { workflowId: first(group).workflowId, ...held, totalBytes };
    },
  );
  return sortBy(
    rows,
    (row) => -row.totalBytes,
    (row) => row.workflowId,
  );
}
