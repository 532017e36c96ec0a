import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { post } from "./data.ts";
import { count, shown, time } from "./format.ts";
import { Dialog, Problem } from "./parts.tsx";

export type BulkAction = "cancel" | "retry" | "delete";

interface BulkAnswer {
  readonly changedRuns: number;
  readonly refusedRuns: number;
  readonly refused: readonly string[];
  /** The end of the filter: runs that are created later were not counted. */
  readonly createdBefore: string;
}

/** The statuses that an action changes if the filter names none. */
const changeable: Readonly<Record<BulkAction, readonly string[]>> = {
  cancel: ["PENDING", "RUNNING"],
  retry: ["FAILED", "CANCELLED"],
  delete: ["COMPLETED", "FAILED", "CANCELLED"],
};

const statuses = new Set([...changeable.cancel, ...changeable.delete]);

const words = {
  cancel: { title: "Cancel runs", did: "cancelled" },
  retry: { title: "Retry runs", did: "pending again" },
  delete: { title: "Delete runs", did: "deleted" },
};

/** Shows how many runs an action changes, and changes them after a confirmation. */
export function BulkDialog({
  action,
  params,
  onClose,
}: {
  readonly action: BulkAction;
  readonly params: URLSearchParams;
  readonly onClose: () => void;
}) {
  const { title, did } = words[action];
  const filter = useMemo(() => filterOf(action, params), []);
  const [planned, setPlanned] = useState<number | null>(null);
  const [createdBefore, setCreatedBefore] = useState("");
  const [done, setDone] = useState<BulkAnswer | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const abort = useRef(new AbortController());
  const send = async (given: object) =>
    post<BulkAnswer>("bulk", { action, filter, ...given }, abort.current.signal);
  const preview = () =>
    send({ dryRun: true }).then(
      ({ changedRuns, createdBefore: counted }) => {
        setPlanned(changedRuns);
        setCreatedBefore(counted);
      },
      (error: Error) => setFailure(error.message),
    );
  useEffect(() => {
    if (filter !== null) void preview();
    return () => abort.current.abort();
  }, []);
  const confirm = async () => {
    setIsBusy(true);
    setFailure(null);
    try {
      // Runs that were created after the count are left alone. If another number matches, nothing is changed.
      const bounded = { ...filter, createdBefore };
      setDone(await send({ filter: bounded, dryRun: false, expectedRuns: planned }));
    } catch (error) {
      setFailure((error as Error).message);
      await preview();
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {filter === null ? (
        <p>
          No run that the filter selects can be changed so: only {changeable[action].join(", ")}{" "}
          runs can.
        </p>
      ) : (
        <>
          <dl class="facts">
            {Object.entries(filter).map(([name, value]) => (
              <div key={name}>
                <dt>{labels[name]}</dt>
                <dd>{shown(describe(name, value))}</dd>
              </div>
            ))}
          </dl>
          {failure !== null && <Problem message={failure} />}
          <p role="status">
            {done !== null
              ? `${count(done.changedRuns)} ${done.changedRuns === 1 ? "run is" : "runs are"} ${did}.`
              : isBusy
                ? "Working… Closing this dialog stops the change. Runs that are already changed stay changed."
                : planned === null
                  ? failure === null && "Counting…"
                  : `${count(planned)} ${planned === 1 ? "run matches" : "runs match"}.`}
          </p>
          {done !== null && done.refusedRuns > 0 && (
            <Problem
              message={[`${count(done.refusedRuns)} could not be changed:`, ...done.refused].join(
                "\n",
              )}
            />
          )}
        </>
      )}
      <form method="dialog" class="actions">
        <button>Close</button>
        {filter !== null && done === null && planned !== null && planned > 0 && (
          <button
            type="button"
            class={action === "retry" ? "primary" : "danger"}
            disabled={isBusy}
            onClick={() => void confirm()}
          >
            {title.replace("runs", `${count(planned)} ${planned === 1 ? "run" : "runs"}`)}
          </button>
        )}
      </form>
    </Dialog>
  );
}

const labels: Readonly<Record<string, string>> = {
  workflowId: "Workflow",
  resourceId: "Resource",
  status: "Status",
  tags: "Tags",
  createdAfter: "Created after",
  createdBefore: "Created before",
};

function describe(name: string, value: unknown): string {
  if (name.startsWith("created")) return time(String(value));
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, each]) => `${key}=${String(each)}`)
    .join(", ");
}

/** The filter of the list with the statuses that the action can change; null if it leaves none. */
function filterOf(action: BulkAction, params: URLSearchParams): Record<string, unknown> | null {
  const chosen = params.getAll("status");
  const status = changeable[action].filter((each) => chosen.length === 0 || chosen.includes(each));
  const tags = params.getAll("tag").map((tag) => {
    const at = tag.indexOf("=");
    return [tag.slice(0, Math.max(0, at)), tag.slice(at + 1)];
  });
  // The list refuses these filters.
  const areTags =
    tags.every(([key]) => key !== "") && new Set(tags.map(([key]) => key)).size === tags.length;
  const areStatuses = chosen.every((each) => statuses.has(each));
  if (status.length === 0 || !areTags || !areStatuses) return null;
  const given = {
    workflowId: params.get("workflow"),
    resourceId: params.get("resource"),
    createdAfter: params.get("after"),
    createdBefore: params.get("before"),
  };
  return {
    ...Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== null && value !== ""),
    ),
    ...(tags.length > 0 && { tags: Object.fromEntries(tags) as Record<string, string> }),
    status,
  };
}
