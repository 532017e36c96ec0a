import { useData, type Part, type Preview } from "./data.ts";
import { duration, ms, share, time } from "./format.ts";
import { addressOf } from "./navigation.ts";
import { labelsOf, Name, type WorkflowLabels } from "./labels.tsx";
import { Card, Causes, Load, Payload, Problem, Status, Text } from "./parts.tsx";
import { RunActions } from "./run-actions.tsx";
import { Tag, tagsOf } from "./runs.tsx";
import type { AttemptOfRun, RunFacts, StepOfRun } from "./run-types.ts";
import { Timeline } from "./timeline.tsx";

interface RunAnswer {
  readonly run: Part<RunFacts>;
  readonly steps: Part<readonly StepOfRun[]>;
  readonly attempts: Part<readonly AttemptOfRun[]>;
  readonly state: Part<Preview>;
  readonly now: string;
}

export function RunPage({
  runId,
  labels,
  canChange,
}: {
  readonly runId: string;
  readonly labels: readonly WorkflowLabels[];
  readonly canChange: boolean;
}) {
  const answer = useData<RunAnswer>(addressOf("run", { id: runId }));
  return (
    <>
      <div class="page-head">
        <h1>
          Run <Text mono value={runId} />
        </h1>
      </div>
      <Load from={answer}>
        {({ run, steps, attempts, state, now }) => (
          <>
            {"error" in run ? (
              <Problem message={run.error.message} />
            ) : (
              <>
                {canChange && <RunActions run={run.value} onChange={answer.reload} />}
                <Facts run={run.value} labels={labels} now={now} />
                {run.value.unreadable !== undefined && (
                  <Problem message={run.value.unreadable.message} />
                )}
                {run.value.error !== null && <ErrorCard runId={runId} error={run.value.error} />}
              </>
            )}
            <Card title="Timeline">
              {"error" in steps ? (
                <Problem message={steps.error.message} />
              ) : (
                "value" in run && (
                  <>
                    {"error" in attempts && <Problem message={attempts.error.message} />}
                    <Timeline
                      run={run.value}
                      steps={steps.value}
                      attempts={"value" in attempts ? attempts.value : []}
                      now={ms(now)}
                      labels={labelsOf(labels, run.value.workflowId, run.value.workflowVersion)}
                      onChange={canChange ? answer.reload : null}
                    />
                  </>
                )
              )}
            </Card>
            {"value" in run && run.value.payloads !== null && (
              <div class="grid">
                {(["input", "output", "context"] as const).map((kind) => {
                  const preview = run.value.payloads?.[kind];
                  return (
                    preview !== undefined &&
                    preview.text !== "null" && (
                      <div class="card" key={kind}>
                        <Payload
                          title={{ input: "Input", output: "Output", context: "Context" }[kind]}
                          preview={preview}
                          runId={runId}
                          kind={kind}
                        />
                      </div>
                    )
                  );
                })}
                {"value" in state
                  ? state.value.text !== "{}" && (
                      <div class="card">
                        <Payload title="State" preview={state.value} runId={runId} kind="state" />
                      </div>
                    )
                  : "error" in state && <Problem message={state.error.message} />}
              </div>
            )}
          </>
        )}
      </Load>
    </>
  );
}

function Facts({
  run,
  labels,
  now,
}: {
  readonly run: RunFacts;
  readonly labels: readonly WorkflowLabels[];
  readonly now: string;
}) {
  const tags = tagsOf(run.tags);
  const isEnded = run.completedAt !== null;
  return (
    <dl class="facts card">
      <Fact name="Status">
        <Status value={run.status} />
        {run.status === "RUNNING" && ` ${share(run.progress)}`}
      </Fact>
      <Fact name="Workflow">
        <a href={addressOf("runs", { workflow: run.workflowId })}>
          <Text value={run.workflowId} />
        </a>{" "}
        version <Text value={run.workflowVersion} />
        <Name of={labelsOf(labels, run.workflowId, run.workflowVersion)} />
      </Fact>
      <Fact name="Created">{time(run.createdAt)}</Fact>
      <Fact name="Started">{time(run.startedAt)}</Fact>
      {isEnded && <Fact name="Ended">{time(run.completedAt)}</Fact>}
      {run.startedAt !== null && (
        <Fact name="Took">{duration(ms(run.completedAt ?? now) - ms(run.startedAt))}</Fact>
      )}
      <Fact name={isEnded ? "Last worker" : "Held by"}>
        {run.workerId === null ? (
          run.status === "PENDING" && run.wakeAt !== null ? (
            `nobody: it sleeps until ${time(run.wakeAt)}`
          ) : (
            "nobody"
          )
        ) : (
          <>
            <Text mono value={run.workerId} />
            {run.leaseExpiresAt !== null && <Lease until={run.leaseExpiresAt} now={now} />}
          </>
        )}
      </Fact>
      <Fact name="Attempt">
        {run.attempt}
        {run.lostLeases > 0 && `, after ${run.lostLeases} lost leases`}
      </Fact>
      {run.deadlineAt !== null && <Fact name="Deadline">{time(run.deadlineAt)}</Fact>}
      {run.resourceId !== null && (
        <Fact name="Resource">
          <a href={addressOf("runs", { resource: run.resourceId })}>
            <Text value={run.resourceId} />
          </a>
        </Fact>
      )}
      {run.idempotencyKey !== null && (
        <Fact name="Idempotency key">
          <Text mono value={run.idempotencyKey} />
        </Fact>
      )}
      {run.traceUrl !== undefined && (
        <Fact name="Trace">
          <a href={run.traceUrl} target="_blank" rel="noreferrer">
            Open the trace
          </a>
        </Fact>
      )}
      {tags.length > 0 && (
        <Fact name="Tags">
          {tags.map((tag) => (
            <Tag key={tag} tag={tag} />
          ))}
        </Fact>
      )}
    </dl>
  );
}

function Lease({ until, now }: { readonly until: string; readonly now: string }) {
  const left = ms(until) - ms(now);
  return left > 0 ? (
    <> (lease for {duration(left)})</>
  ) : (
    <strong> (its lease expired {duration(-left)} ago)</strong>
  );
}

const Fact = ({
  name,
  children,
}: {
  readonly name: string;
  readonly children: preact.ComponentChildren;
}) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

function ErrorCard({
  runId,
  error,
}: {
  readonly runId: string;
  readonly error: NonNullable<RunFacts["error"]>;
}) {
  return (
    <Card title="Error">
      <Causes causes={error.causes} />
      <details>
        <summary>Everything that was stored</summary>
        <Payload title="Error" preview={error} runId={runId} kind="error" />
      </details>
    </Card>
  );
}
