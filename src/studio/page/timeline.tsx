import { useState } from "preact/hooks";
import { useData, type Part, type Preview } from "./data.ts";
import { duration, ms, shown, time, timeOf } from "./format.ts";
import { addressOf } from "./navigation.ts";
import { Description, Name, type WorkflowLabels } from "./labels.tsx";
import { Causes, Empty, Load, Payload, Problem, Status, Table, Text } from "./parts.tsx";
import { isActive, RetryFromStep } from "./run-actions.tsx";
import type { AttemptOfRun, RunFacts, StepOfRun } from "./run-types.ts";

/** A part of a bar: an attempt, or a wait before one. */
interface Segment {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
  readonly text: string;
}

/** More steps than this are shown in pages. */
const pageSize = 200;

export function Timeline({
  run,
  steps,
  attempts,
  now,
  labels,
  onChange,
}: {
  readonly run: RunFacts;
  readonly steps: readonly StepOfRun[];
  readonly attempts: readonly AttemptOfRun[];
  readonly now: number;
  readonly labels: WorkflowLabels | undefined;
  /** Called after a change of the run; null if it may not be changed. */
  readonly onChange: (() => void) | null;
}) {
  const [visible, setVisible] = useState(pageSize);
  const ofStep = new Map<string, AttemptOfRun[]>();
  for (const each of attempts) {
    const own = ofStep.get(each.stepId);
    if (own === undefined) ofStep.set(each.stepId, [each]);
    else own.push(each);
  }
  const end = run.completedAt === null ? now : ms(run.completedAt);
  const runSegments = segmentsOfRun(run, end);
  const rows = steps.map((step) => ({
    step,
    attempts: ofStep.get(step.stepId) ?? [],
    segments: segmentsOfStep(step, ofStep.get(step.stepId) ?? [], end),
  }));
  const all = [...runSegments, ...rows.flatMap(({ segments }) => segments)];
  // A function takes fewer arguments than a run may have steps.
  const from = all.reduce((least, each) => Math.min(least, each.from), ms(run.createdAt));
  const to = all.reduce((most, each) => Math.max(most, each.to), Math.max(end, from + 1));
  return (
    <>
      <p class="muted scale">
        <span>{timeOf(new Date(from))}</span>
        <span>{duration(to - from)}</span>
      </p>
      <ol class="timeline" aria-label="Steps">
        <li class="timeline-row">
          <span class="timeline-name">whole run</span>
          <Status value={run.status} />
          <Bar segments={runSegments} from={from} to={to} />
          <span class="number">
            {duration(run.startedAt === null ? null : end - ms(run.startedAt))}
          </span>
        </li>
        {rows.slice(0, visible).map(({ step, attempts: own, segments }) => (
          <li key={step.stepId}>
            <StepRow
              run={run}
              step={step}
              label={labels?.steps.find(({ id }) => id === step.stepId)}
              attempts={own}
              onChange={onChange}
            >
              <Bar segments={segments} from={from} to={to} />
            </StepRow>
          </li>
        ))}
      </ol>
      {steps.length === 0 && <Empty>No step has begun.</Empty>}
      {steps.length > visible && (
        <button type="button" onClick={() => setVisible(visible + pageSize)}>
          Show more of {steps.length} steps
        </button>
      )}
      <p class="legend-line" aria-hidden="true">
        {["completed", "running", "failed", "wait"].map((kind) => (
          <span key={kind} class="legend">
            <span class={`swatch segment ${kind}`} /> {kind === "wait" ? "waiting" : kind}
          </span>
        ))}
      </p>
    </>
  );
}

function StepRow({
  run,
  step,
  label,
  attempts,
  onChange,
  children,
}: {
  readonly run: RunFacts;
  readonly step: StepOfRun;
  readonly label: WorkflowLabels["steps"][number] | undefined;
  readonly attempts: readonly AttemptOfRun[];
  readonly onChange: (() => void) | null;
  readonly children: preact.ComponentChildren;
}) {
  const [isOpen, setIsOpen] = useState(false);
  const last = step.error ?? attempts.findLast(({ error }) => error !== null)?.error;
  return (
    <details onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary class="timeline-row">
        <span class="timeline-name">
          <Text value={step.stepId} />
          <Name of={label} />
        </span>
        <Status value={step.status} />
        {children}
        <span class="number">
          {step.attempt > 1 && <span class="muted">{step.attempt} attempts </span>}
          {duration(step.durationMs)}
        </span>
      </summary>
      {isOpen && (
        <div class="step">
          <Description of={label} />
          <p class="muted">
            Began {time(step.startedAt)}, ended {time(step.completedAt)}
            {step.wakeAt !== null && `, sleeps until ${time(step.wakeAt)}`}
          </p>
          {last && <Causes causes={last.causes} />}
          {attempts.length > 0 && (
            <Table
              label={`Attempts of ${shown(step.stepId)}`}
              rows={attempts}
              columns={[
                { title: "Attempt", isNumber: true, cell: (each) => each.attempt },
                { title: "Status", cell: (each) => <Status value={each.status} /> },
                { title: "Began", cell: (each) => time(each.startedAt) },
                {
                  title: "Took",
                  isNumber: true,
                  cell: ({ startedAt, completedAt }) =>
                    duration(
                      startedAt === null || completedAt === null
                        ? null
                        : ms(completedAt) - ms(startedAt),
                    ),
                },
                { title: "Worker", cell: (each) => <Text mono value={each.workerId ?? "–"} /> },
                {
                  title: "Error",
                  cell: ({ error }) => (error === null ? "–" : <Causes causes={error.causes} />),
                },
              ]}
            />
          )}
          {onChange !== null && !isActive(run) && (
            <RetryFromStep run={run} stepId={step.stepId} onChange={onChange} />
          )}
          <StepPayloads runId={run.runId} step={step} />
          {step.error !== null && (
            <Payload
              title="Error"
              preview={step.error}
              runId={run.runId}
              kind="error"
              stepId={step.stepId}
            />
          )}
        </div>
      )}
    </details>
  );
}

function segmentsOfRun(run: RunFacts, end: number): Segment[] {
  const created = ms(run.createdAt);
  const started = run.startedAt === null ? null : ms(run.startedAt);
  return [
    segment("wait", created, started ?? end, "waited for a worker"),
    ...(started === null ? [] : [segment(run.status.toLowerCase(), started, end, run.status)]),
  ];
}

/** The attempts of a step, and the waits between them. Only failed and later attempts are stored. */
function segmentsOfStep(
  step: StepOfRun,
  attempts: readonly AttemptOfRun[],
  end: number,
): Segment[] {
  if (step.startedAt === null) return [];
  const started = ms(step.startedAt);
  const ended = step.completedAt === null ? end : ms(step.completedAt);
  const segments: Segment[] = [];
  let at = started;
  for (const { attempt, status, startedAt, completedAt } of attempts) {
    const from = startedAt === null ? at : ms(startedAt);
    const to = completedAt === null ? ended : ms(completedAt);
    if (from > at) segments.push(segment("wait", at, from, "waited for the next attempt"));
    segments.push(segment(status.toLowerCase(), from, to, `attempt ${attempt}: ${status}`));
    at = Math.max(at, to);
  }
  const isWaiting =
    step.status === "RETRYING" || (step.wakeAt !== null && step.completedAt === null);
  if (at < ended) {
    const kind = isWaiting ? "wait" : step.status.toLowerCase();
    segments.push(segment(kind, at, ended, isWaiting ? "waits" : step.status));
  }
  return segments;
}

const segment = (kind: string, from: number, to: number, text: string): Segment => ({
  kind,
  from,
  to: Math.max(from, to),
  text,
});

function Bar({
  segments,
  from,
  to,
}: {
  readonly segments: readonly Segment[];
  readonly from: number;
  readonly to: number;
}) {
  const percent = (value: number) => `${(value / (to - from)) * 100}%`;
  return (
    <span class="track" aria-hidden="true">
      {segments.map((each, index) => (
        <span
          key={index}
          class={`segment ${each.kind}`}
          title={`${each.text}, ${duration(each.to - each.from)}`}
          style={{ left: percent(each.from - from), width: percent(each.to - each.from) }}
        />
      ))}
    </span>
  );
}

/** The payloads of a step, which are read when it is opened. */
function StepPayloads({ runId, step }: { readonly runId: string; readonly step: StepOfRun }) {
  const answer = useData<{ input: Part<Preview>; output: Part<Preview | null> }>(
    addressOf("step", { id: runId, step: step.stepId }),
  );
  return (
    <Load from={answer}>
      {({ input, output }) => (
        <div class="grid">
          {(
            [
              ["Input", "input", input],
              ["Output", "output", output],
            ] as const
          ).map(([title, kind, content]) =>
            "error" in content ? (
              <Problem key={kind} message={content.error.message} />
            ) : content.value === null ? (
              <Empty key={kind}>No output is stored.</Empty>
            ) : (
              <Payload
                key={kind}
                title={title}
                preview={content.value}
                runId={runId}
                kind={kind}
                stepId={step.stepId}
              />
            ),
          )}
        </div>
      )}
    </Load>
  );
}
