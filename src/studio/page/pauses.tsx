import { useState } from "preact/hooks";
import { post, type Loaded } from "./data.ts";
import { shown, time } from "./format.ts";
import { Card, Empty, Load, Table, Text } from "./parts.tsx";
import { Question } from "./run-actions.tsx";

interface Pause {
  readonly workflowId: string;
  readonly pausedAt: string;
  readonly reason: string | null;
}

export interface PausesAnswer {
  readonly pauses: readonly Pause[];
}

/** The paused workflows, and the changes of pauses. */
export function Pauses({
  from,
  workflows,
  canChange,
}: {
  readonly from: Loaded<PausesAnswer>;
  /** The workflows that can be paused. */
  readonly workflows: readonly string[];
  readonly canChange: boolean;
}) {
  const [asked, setAsked] = useState<{ pause: boolean; workflowId: string } | null>(null);
  const [reason, setReason] = useState("");
  const close = () => {
    setAsked(null);
    setReason("");
  };
  return (
    <Card title="Claims">
      <Load from={from}>
        {({ pauses }) => {
          const open = workflows.filter((id) => pauses.every((each) => each.workflowId !== id));
          return (
            <>
              {pauses.length === 0 ? (
                <Empty>No workflow is paused.</Empty>
              ) : (
                <Table
                  label="Paused workflows"
                  rows={pauses}
                  columns={[
                    { title: "Paused workflow", cell: (row) => <Text value={row.workflowId} /> },
                    { title: "Since", cell: (row) => time(row.pausedAt) },
                    { title: "Reason", cell: (row) => <Text value={row.reason ?? "–"} /> },
                    ...(canChange
                      ? [
                          {
                            title: "Change",
                            cell: ({ workflowId }: Pause) => (
                              <button
                                type="button"
                                onClick={() => setAsked({ pause: false, workflowId })}
                              >
                                Resume…
                              </button>
                            ),
                          },
                        ]
                      : []),
                  ]}
                />
              )}
              {canChange && open.length > 0 && (
                <form
                  class="actions"
                  onSubmit={(event) => {
                    event.preventDefault();
                    const chosen = event.currentTarget.querySelector("select");
                    if (chosen !== null) setAsked({ pause: true, workflowId: chosen.value });
                  }}
                >
                  <label>
                    Pause{" "}
                    <select name="workflow">
                      {open.map((id) => (
                        <option key={id} value={id}>
                          {shown(id)}
                        </option>
                      ))}
                    </select>
                  </label>
                  <button>Pause…</button>
                </form>
              )}
            </>
          );
        }}
      </Load>
      {asked !== null && (
        <Question
          title={asked.pause ? "Pause the workflow" : "Resume the workflow"}
          isSafe={!asked.pause}
          perform={() =>
            post(asked.pause ? "pause" : "resume", {
              workflowId: asked.workflowId,
              ...(asked.pause && reason !== "" && { reason }),
            })
          }
          onDone={from.reload}
          onClose={close}
        >
          <p>
            {asked.pause ? "No worker claims runs of " : "Workers claim runs of "}
            <Text value={asked.workflowId} />
            {asked.pause
              ? ", in any version, until it is resumed. Runs that workers hold continue."
              : " again."}
          </p>
          {asked.pause && (
            <label>
              Reason{" "}
              <input
                value={reason}
                maxLength={1000}
                onInput={({ currentTarget }) => setReason(currentTarget.value)}
              />
            </label>
          )}
        </Question>
      )}
    </Card>
  );
}
