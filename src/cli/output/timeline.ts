import type { StepExecution } from "../../schema/rows.ts";
import { colors, escaped, table } from "./output.ts";
import { paintStatus } from "./statuses.ts";
import { formatDuration } from "./words.ts";

/** Columns from the first start to the last end. */
const width = 40;

type TimelineStep = Pick<
  StepExecution,
  "stepId" | "status" | "attempt" | "startedAt" | "completedAt" | "durationMs"
>;

/** A line for each step, with a bar from its start to its end, or to `now` if it has not ended. */
export function drawTimeline(
  steps: readonly TimelineStep[],
  now: Date,
  names: ReadonlyMap<string, string> = new Map(),
): string {
  const spans = steps.map((step) => spanOf(step, now.getTime()));
  const begun = spans.filter((span) => span !== null);
  const from = begun.reduce((first, [start]) => Math.min(first, start), Infinity);
  const to = begun.reduce((last, [, end]) => Math.max(last, end), -Infinity);
  return table(
    ["step", "status", "attempt", " ".repeat(width), "took"],
    steps.map((step, index) => [
      labelOf(step.stepId, names),
      paintStatus(step.status),
      String(step.attempt),
      drawBar(step, spans[index] ?? null, { from, to }),
      formatDuration(step.durationMs),
    ]),
  );
}

/** The id of the step, and its name if it has one. */
function labelOf(stepId: string, names: ReadonlyMap<string, string>): string {
  const name = names.get(stepId);
  return escaped(name === undefined ? stepId : `${stepId} (${name})`);
}

type Span = readonly [start: number, end: number];

function spanOf({ startedAt, completedAt }: TimelineStep, now: number): Span | null {
  if (startedAt === null) return null;
  const start = startedAt.getTime();
  return [start, Math.max(start, completedAt?.getTime() ?? now)];
}

function drawBar(
  { status }: TimelineStep,
  span: Span | null,
  { from, to }: { readonly from: number; readonly to: number },
): string {
  if (span === null) return colors.dim("·".repeat(width));
  // The bar is at least one column long and does not exceed the width.
  const column = (time: number) => (to === from ? 0 : ((time - from) / (to - from)) * width);
  const start = Math.min(width - 1, Math.floor(column(span[0])));
  const length = Math.max(1, Math.round(column(span[1])) - start);
  const bar = paintStatus(status, "━".repeat(length));
  return colors.dim("·".repeat(start)) + bar + colors.dim("·".repeat(width - start - length));
}
