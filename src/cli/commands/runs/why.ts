import { Command } from "commander";
import type {
  StepAttempt,
  StepExecutionSummary,
  WorkflowPause,
  WorkflowRunSummary,
} from "../../../schema/rows.ts";
import type { WorkflowStore } from "../../../store/workflow-store.ts";
import type { CommandContext } from "../../context.ts";
import { withStore } from "../../database.ts";
import { type JsonOptions, shared, type TableOptions } from "../../options.ts";
import { colors, escaped, print, printJson, quoted, table } from "../../output/output.ts";
import { paintStatus } from "../../output/statuses.ts";
import { formatDuration, formatShare, formatTime } from "../../output/words.ts";
import { describePause } from "../workflows.ts";
import { readOutline, type RunOutline } from "./show.ts";

/** The most attempts, other steps and characters of a text, so that the answer fits on a screen. */
const [maxAttempts, maxSteps, maxText, maxCell] = [5, 3, 300, 48];

export function whyCommand(context: CommandContext): Command {
  return new Command("why")
    .description("explain on one screen why a run failed, or why it has not ended")
    .argument("<run>", "id of the run")
    .addOption(shared.database())
    .addOption(shared.prefix())
    .addOption(shared.json())
    .addHelpText(
      "after",
      `
It shows the last ${maxAttempts} attempts of the step that decided, and the beginning of long messages. --json prints all.

Examples:
  gorkflow runs why 0198c0de-0000-7000-8000-000000000000
  gorkflow runs why 0198c0de-0000-7000-8000-000000000000 --json | jq .error`,
    )
    .action(async (runId: string, options: TableOptions & JsonOptions) => {
      const { outline, pause } = await withStore(context, options, async (store) => {
        const read = await readOutline(store, runId, context.signal);
        return { outline: read, pause: await pauseOf(store, read.run, context.signal) };
      });
      const explanation = explain(outline, pause, new Date());
      if (options.json) printJson(explanation);
      else print(describe(explanation));
    });
}

/** The pause that keeps the run from being claimed. */
async function pauseOf(
  store: WorkflowStore,
  { status, workflowId }: WorkflowRunSummary,
  signal: AbortSignal,
): Promise<WorkflowPause | null> {
  if (status !== "PENDING" && status !== "RUNNING") return null;
  const pauses = await store.listPausedWorkflows({ signal });
  return pauses.find((pause) => pause.workflowId === workflowId) ?? null;
}

interface Explanation {
  readonly run: WorkflowRunSummary;
  /** Set if the run has not ended and its workflow is paused. */
  readonly pause: WorkflowPause | null;
  readonly reason: string;
  /** The step that decided; null if none did. */
  readonly step: StepExecutionSummary | null;
  readonly error: unknown;
  /** The stored attempts of the step. */
  readonly attempts: readonly StepAttempt[];
  /** The errors of other steps. */
  readonly others: readonly Pick<StepExecutionSummary, "stepId" | "status" | "error">[];
}

function explain(
  { run, steps, attempts }: RunOutline,
  pause: WorkflowPause | null,
  now: Date,
): Explanation {
  const step = decisiveStep(run, steps);
  const reason = reasonOf(run, steps, step, now);
  const isHeld = run.leaseExpiresAt !== null && run.leaseExpiresAt > now;
  return {
    run,
    pause,
    reason:
      pause === null || isHeld
        ? reason
        : `its workflow is paused ${describePause(pause)}; otherwise, ${reason}`,
    step,
    error: run.error ?? step?.error ?? null,
    attempts: attempts.filter(({ stepId }) => stepId === step?.stepId),
    others: steps
      .filter((other) => other !== step && other.error !== null)
      .map(({ stepId, status, error }) => ({ stepId, status, error })),
  };
}

/** The step that the run's error names, or else the last one that failed, or else the one that the run is at. */
function decisiveStep(
  { status, error }: WorkflowRunSummary,
  steps: readonly StepExecutionSummary[],
): StepExecutionSummary | null {
  const last = (...statuses: readonly string[]) =>
    steps.findLast((step) => statuses.includes(step.status)) ?? null;
  if (status === "COMPLETED") return null;
  if (status === "FAILED" && error !== null) {
    const { stepId } = fieldsOf(error);
    return steps.find((step) => step.stepId === stepId) ?? last("CANCELLED");
  }
  return last("FAILED") ?? last("RETRYING") ?? last("RUNNING", "CANCELLED");
}

function reasonOf(
  run: WorkflowRunSummary,
  steps: readonly StepExecutionSummary[],
  step: StepExecutionSummary | null,
  now: Date,
): string {
  const named = step === null ? null : `step ${escaped(step.stepId)}`;
  if (run.status === "COMPLETED") return "the run did not fail";
  if (run.status === "PENDING") return reasonOfPending(run, steps, now);
  if (run.status === "RUNNING") {
    const holder = describeHolder(run, now);
    return named === null ? holder : `it is at ${named}, and ${holder}`;
  }
  if (run.status === "CANCELLED") return `it was cancelled${named === null ? "" : ` at ${named}`}`;
  if (step?.status !== "FAILED") {
    return `the run failed outside of its steps${named === null ? "" : `, while it was at ${named}`}`;
  }
  return step.attempt === 0
    ? `the condition of ${named} failed`
    : `${named} failed in attempt ${step.attempt}`;
}

function describeHolder(
  { workerId, claimedAt, leaseExpiresAt }: WorkflowRunSummary,
  now: Date,
): string {
  if (leaseExpiresAt === null || leaseExpiresAt > now) {
    if (workerId === null) return "no worker holds it";
    const since = claimedAt === null ? "" : ` since ${formatTime(claimedAt)}`;
    return `worker ${escaped(workerId)} executes it${since}`;
  }
  const ago = formatDuration(now.getTime() - leaseExpiresAt.getTime());
  return `its lease expired ${ago} ago: the next worker claims it`;
}

function reasonOfPending(
  { workflowId, workflowVersion, wakeAt, updatedAt }: WorkflowRunSummary,
  steps: readonly StepExecutionSummary[],
  now: Date,
): string {
  if (wakeAt !== null && wakeAt > now) {
    const isRetry = steps.some(({ status }) => status === "RETRYING");
    return `it ${isRetry ? "retries" : "continues"} at ${formatTime(wakeAt)}`;
  }
  const workflow = `${escaped(workflowId)} version ${escaped(workflowVersion)}`;
  return `it waits for a worker of ${workflow}, since ${formatTime(wakeAt ?? updatedAt)}`;
}

function describe({ run, pause, reason, step, error, attempts, others }: Explanation): string {
  const { runId, workflowId, workflowVersion, status, progress, attempt } = run;
  const { startedAt, completedAt } = run;
  const took =
    startedAt === null || completedAt === null
      ? ""
      : `, ${formatDuration(completedAt.getTime() - startedAt.getTime())} after its start`;
  const ended = completedAt === null ? "" : ` at ${formatTime(completedAt)}${took}`;
  const claims = attempt === 1 ? "claimed once" : `claimed ${attempt} times`;
  const shown = attempts.slice(-maxAttempts);
  const earlier = attempts.length - shown.length;
  const rest = others.length - maxSteps;
  return [
    [
      `run ${escaped(runId)} of ${escaped(workflowId)} (version ${escaped(workflowVersion)})`,
      `${paintStatus(status)}${ended}; ${formatShare(progress)} done, ${claims}`,
      colors.bold(reason),
    ],
    describeError(error),
    shown.length === 0
      ? []
      : [
          table(
            ["attempt", "status", "started", "took", "error"],
            shown.map((each) => [
              String(each.attempt),
              paintStatus(each.status),
              formatTime(each.startedAt),
              formatDuration(lengthOf(each)),
              cut(headOf(each.error), maxCell),
            ]),
          ),
          ...(earlier > 0
            ? [`and ${earlier} earlier attempts of ${escaped(step?.stepId ?? "")}`]
            : []),
        ],
    [
      ...others
        .slice(0, maxSteps)
        .map(
          ({ stepId, status: its, error: own }) =>
            `step ${escaped(stepId)} is ${paintStatus(its)}: ${cut(headOf(own), maxCell)}`,
        ),
      ...(rest > 0 ? [`and ${rest} other steps with errors`] : []),
    ],
    adviceFor(run, step, pause),
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

function adviceFor(
  { runId, workflowId, status }: WorkflowRunSummary,
  step: StepExecutionSummary | null,
  pause: WorkflowPause | null,
): string[] {
  if (pause !== null) return [`gorkflow workflows resume ${quoted(workflowId)} ends the pause`];
  if (status !== "FAILED" && status !== "CANCELLED") return [];
  const id = quoted(runId);
  const at = step === null ? "" : ` with ${escaped(step.stepId)}`;
  return [`gorkflow runs retry ${id} continues${at}; gorkflow runs show ${id} has all steps`];
}

/** The error with its details and causes. */
function describeError(error: unknown): string[] {
  if (error === null) return [];
  const { details, cause } = fieldsOf(error);
  return [
    colors.red(cut(headOf(error), maxText)),
    ...(details === undefined ? [] : [`  details ${cut(JSON.stringify(details), maxText)}`]),
    ...causesOf(cause).map((each) => `  caused by ${cut(headOf(each), maxText / 2)}`),
  ];
}

function causesOf(cause: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let each = cause; each !== undefined && each !== null; each = fieldsOf(each).cause) {
    causes.push(each);
  }
  return causes;
}

interface ErrorFields {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly cause?: unknown;
  readonly stepId?: unknown;
}

/** The fields that the engine stores. An app may store any value. */
function fieldsOf(error: unknown): ErrorFields {
  return typeof error === "object" && error !== null ? error : {};
}

/** `TimeoutError [ETIMEDOUT]: no answer` */
function headOf(error: unknown): string {
  if (error === null) return "";
  const { name, code, message } = fieldsOf(error);
  if (typeof message !== "string") return JSON.stringify(error);
  const kind = typeof name === "string" ? name : "Error";
  return `${kind}${typeof code === "string" ? ` [${code}]` : ""}: ${message}`;
}

function lengthOf({ startedAt, completedAt }: StepAttempt): number | null {
  if (startedAt === null || completedAt === null) return null;
  return completedAt.getTime() - startedAt.getTime();
}

/** The beginning of the text, on one line. */
function cut(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, " ");
  const short = line.length <= length ? line : `${line.slice(0, length - 1).toWellFormed()}…`;
  return escaped(short);
}
