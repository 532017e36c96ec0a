import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "./data.ts";
import { navigate } from "./navigation.ts";
import { Dialog, Problem, Text } from "./parts.tsx";
import type { RunFacts } from "./run-types.ts";

type Action = "cancel" | "retry" | "delete";

const questions: Readonly<Record<Action, { title: string; text: string }>> = {
  cancel: {
    title: "Cancel the run",
    text: "No further step begins. Steps that are running are aborted, and their results are not stored.",
  },
  retry: {
    title: "Retry the run",
    text: "A worker continues it with the steps that failed or were cancelled. Completed steps do not run again.",
  },
  delete: {
    title: "Delete the run",
    text: "Its steps, attempts, outputs and state are deleted with it. This cannot be undone.",
  },
};

export const isActive = ({ status }: RunFacts) => status === "PENDING" || status === "RUNNING";

/** The changes of a run that its status permits. */
export function RunActions({
  run,
  onChange,
}: {
  readonly run: RunFacts;
  readonly onChange: () => void;
}) {
  const [asked, setAsked] = useState<Action | null>(null);
  const isRetryable = run.status === "FAILED" || run.status === "CANCELLED";
  const button = (action: Action, text: string, isOffered: boolean) =>
    isOffered && (
      <button type="button" onClick={() => setAsked(action)}>
        {text}
      </button>
    );
  return (
    <div class="actions" role="group" aria-label="Change the run">
      {button("cancel", "Cancel…", isActive(run))}
      {button("retry", "Retry…", isRetryable)}
      {button("delete", "Delete…", !isActive(run))}
      {asked !== null && (
        <Question
          title={questions[asked].title}
          isSafe={asked === "retry"}
          perform={() => post(asked, { runId: run.runId })}
          onDone={() => (asked === "delete" ? navigate("runs") : onChange())}
          onClose={() => setAsked(null)}
        >
          <p>{questions[asked].text}</p>
        </Question>
      )}
    </div>
  );
}

/** Retries a run that has ended from one of its steps. */
export function RetryFromStep({
  run,
  stepId,
  onChange,
}: {
  readonly run: RunFacts;
  readonly stepId: string;
  readonly onChange: () => void;
}) {
  const [isAsked, setIsAsked] = useState(false);
  return (
    <div class="actions">
      <button type="button" onClick={() => setIsAsked(true)}>
        Retry from this step…
      </button>
      {isAsked && (
        <Question
          title="Retry from this step"
          isSafe={false}
          perform={() => post("retry", { runId: run.runId, fromStep: stepId })}
          onDone={onChange}
          onClose={() => setIsAsked(false)}
        >
          <p>
            <Text value={stepId} /> and the steps after it run again as if for the first time. Their
            attempts and outputs are deleted; the state stays.
          </p>
        </Question>
      )}
    </div>
  );
}

export function Question({
  title,
  isSafe,
  perform,
  onDone,
  onClose,
  children,
}: {
  readonly title: string;
  readonly isSafe: boolean;
  readonly perform: () => Promise<unknown>;
  readonly onDone: () => void;
  readonly onClose: () => void;
  readonly children: preact.ComponentChildren;
}) {
  const [failure, setFailure] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const isOpen = useRef(true);
  useEffect(() => () => void (isOpen.current = false), []);
  const confirm = async () => {
    setIsBusy(true);
    setFailure(null);
    try {
      await perform();
      // The reader may be elsewhere by now.
      if (!isOpen.current) return;
      onClose();
      onDone();
    } catch (error) {
      setFailure((error as Error).message);
      setIsBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {failure !== null && <Problem message={failure} />}
      <form method="dialog" class="actions">
        <button>Close</button>
        <button
          type="button"
          class={isSafe ? "primary" : "danger"}
          disabled={isBusy}
          onClick={() => void confirm()}
        >
          {title}
        </button>
      </form>
    </Dialog>
  );
}
