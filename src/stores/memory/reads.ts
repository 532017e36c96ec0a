import { utf8ByteLength } from "../../json.ts";
import { compareAttempts, compareSteps, type RunBundle } from "../../model/bundles.ts";
import { comparePositions, compareText } from "../../model/cursors.ts";
import {
  bundleRowBytes,
  countWithinPage,
  listCursors,
  matchesFilter,
  nextCursor,
  orderOf,
  type ParsedRunFilter,
  type ParsedRunQuery,
} from "../../model/run-queries.ts";
import { withInput } from "../../model/step-inputs.ts";
import {
  rowCodecs as codecs,
  runSummaryProperties,
  stepSummaryProperties,
} from "../../schema/row-codecs.ts";
import {
  jsonRunColumns,
  type StepAttempt,
  type StepExecution,
  type StepExecutionSummary,
  type WorkflowPause,
  type WorkflowRun,
  type WorkflowRunSummary,
  type WorkflowState,
} from "../../schema/rows.ts";
import type { BundlePage } from "../../store/bundles.ts";
import type { RunPage } from "../../store/runs.ts";
import type { ScanOrder } from "./sorted-index.ts";
import type { ChildRows, RunRow, Tables } from "./tables.ts";

export function readRun(run: RunRow): WorkflowRun {
  return codecs.run.decode(run);
}

export function readSummary(run: RunRow): WorkflowRunSummary {
  return codecs.run.decode(run, runSummaryProperties);
}

export function listRuns(
  tables: Tables,
  query: ParsedRunQuery,
  payloads: boolean,
): RunPage<WorkflowRun | WorkflowRunSummary> {
  const columns = payloads ? jsonRunColumns : (["error", "tags"] as const);
  const { page, continues } = readPage(tables, query, orderOf(query), (run) =>
    jsonBytesOf(run, columns),
  );
  const newestFirst = query.isBackward ? page.toReversed() : page;
  return {
    runs: newestFirst.map(payloads ? readRun : readSummary),
    corrupt: [],
    ...listCursors(query, { first: newestFirst[0], last: newestFirst.at(-1), continues }),
  };
}

export function readBundles(tables: Tables, query: ParsedRunQuery): BundlePage {
  const { page, continues } = readPage(tables, query, "oldest first", (run) => {
    const { bytes, rows } = sizeOf(tables, run);
    return bytes + bundleRowBytes * Object.values(rows).reduce((sum, count) => sum + count, 0);
  });
  const last = page.at(-1);
  return {
    bundles: page.map((run) => readBundle(tables, run)),
    corrupt: [],
    nextCursor: continues && last !== undefined ? nextCursor("bundles", query, last) : null,
  };
}

/** The runs of a page, in the order of the scan. `continues` is true unless the list ends with them. */
function readPage(
  tables: Tables,
  query: ParsedRunQuery,
  order: ScanOrder,
  bytesOf: (run: RunRow) => number,
): { readonly page: readonly RunRow[]; readonly continues: boolean } {
  const rows: RunRow[] = [];
  for (const run of candidates(tables, query, order)) {
    if (matches(run, query)) rows.push(run);
    else if (isBeyond(run, query, order)) break;
    if (rows.length > query.limit) break;
  }
  const count = Math.min(query.limit, countWithinPage(rows.map(bytesOf)));
  return { page: rows.slice(0, count), continues: count < rows.length };
}

/** The runs in order: all, or the named ones, which are few. */
function candidates(
  tables: Tables,
  { runIds, ...query }: ParsedRunQuery,
  order: ScanOrder,
): Iterable<RunRow> {
  const after = query.after && {
    createdAt: Number(query.after.createdAt),
    runId: String(query.after.runId),
  };
  if (runIds === null) return tables.scanRuns(order, after);
  const direction = order === "newest first" ? -1 : 1;
  return runIds
    .flatMap((runId) => tables.getRun(runId) ?? [])
    .filter((run) => after === null || direction * comparePositions(run, after) > 0)
    .toSorted((a, b) => direction * comparePositions(a, b));
}

function matches(run: RunRow, filter: ParsedRunFilter): boolean {
  const { workflowId, status, resourceId, runId, createdAt } = run;
  // Tags are decoded only if the filter needs them.
  const tags = filter.tags && codecs.run.decodeCells(tagsOnly, [run.tags]).tags;
  return matchesFilter({ workflowId, status, resourceId, runId, createdAt, tags }, filter);
}

const tagsOnly = ["tags"] as const;

/** True if no later row of the scan can match the times of the filter. */
function isBeyond(
  { createdAt }: RunRow,
  { createdAfter, createdBefore }: ParsedRunFilter,
  order: ScanOrder,
): boolean {
  return order === "newest first"
    ? createdAfter !== null && createdAt < createdAfter.getTime()
    : createdBefore !== null && createdAt >= createdBefore.getTime();
}

export function countRuns(tables: Tables, filter: ParsedRunFilter): Map<string, number> {
  const counts = new Map<string, number>();
  for (const run of tables.scanRuns("oldest first", null)) {
    if (matches(run, filter)) counts.set(run.status, (counts.get(run.status) ?? 0) + 1);
  }
  return counts;
}

/** The step with its input, which may consist of outputs. */
export function decodeStep(tables: Tables, row: ChildRows["steps"]): StepExecution {
  const step = codecs.steps.decode(row);
  return withInput(step, (stepId) => {
    const output = tables.children("outputs", step.runId).get(stepId);
    return output === undefined ? null : codecs.outputs.decode(output).output;
  });
}

export function listSteps(tables: Tables, runId: string): StepExecution[] {
  return Array.from(tables.children("steps", runId), ([, row]) => decodeStep(tables, row)).toSorted(
    compareSteps,
  );
}

export function listStepSummaries(tables: Tables, runId: string): StepExecutionSummary[] {
  return Array.from(tables.children("steps", runId), ([, row]) =>
    codecs.steps.decode(row, stepSummaryProperties),
  ).toSorted(compareSteps);
}

export function listAttempts(tables: Tables, runId: string): StepAttempt[] {
  return Array.from(tables.children("attempts", runId), ([, row]) =>
    codecs.attempts.decode(row),
  ).toSorted(compareAttempts);
}

export function listState(tables: Tables, runId: string): WorkflowState[] {
  return Array.from(tables.children("state", runId), ([, row]) =>
    codecs.state.decode(row),
  ).toSorted((a, b) => compareText(a.key, b.key));
}

export function listPauses(tables: Tables): WorkflowPause[] {
  return Array.from(tables.pauses, ([, row]) => codecs.pauses.decode(row)).toSorted((a, b) =>
    compareText(a.workflowId, b.workflowId),
  );
}

export function readBundle(tables: Tables, run: RunRow): RunBundle {
  const { runId } = run;
  return {
    run: readRun(run),
    steps: listSteps(tables, runId),
    attempts: listAttempts(tables, runId),
    outputs: Array.from(tables.children("outputs", runId), ([, row]) =>
      codecs.outputs.decode(row),
    ).toSorted((a, b) => compareText(a.stepId, b.stepId)),
    state: listState(tables, runId),
  };
}

/** The number of rows of the run in each child table, and the bytes of JSON in all of its rows. */
export function sizeOf(tables: Tables, run: RunRow) {
  let bytes = jsonBytesOf(run, jsonRunColumns);
  const count = <Row extends object>(
    rows: Iterable<[string, Row]>,
    columns: readonly (keyof Row)[],
  ) => {
    let found = 0;
    for (const [, row] of rows) {
      found++;
      bytes += jsonBytesOf(row, columns);
    }
    return found;
  };
  const rows = {
    steps: count(tables.children("steps", run.runId), ["input", "inputFrom", "error"]),
    attempts: count(tables.children("attempts", run.runId), ["error"]),
    outputs: count(tables.children("outputs", run.runId), ["output"]),
    state: count(tables.children("state", run.runId), ["value"]),
  };
  return { rows, bytes };
}

/** The bytes of JSON in the columns. */
function jsonBytesOf<Row extends object>(row: Row, names: readonly (keyof Row)[]): number {
  let bytes = 0;
  for (const name of names) {
    const cell = row[name];
    if (typeof cell === "string") bytes += utf8ByteLength(cell);
  }
  return bytes;
}
