import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { request, useData } from "./data.ts";
import { BulkDialog, type BulkAction } from "./bulk-dialog.tsx";
import { duration, ms, share, shown, time } from "./format.ts";
import { addressOf, fieldOf, navigate, runAddress } from "./navigation.ts";
import { Empty, Load, Problem, RunLink, Status, Table, Text } from "./parts.tsx";

interface ListedRun {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowVersion: string;
  readonly status: string;
  readonly progress: number;
  readonly resourceId: string | null;
  readonly tags: unknown;
  readonly attempt: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly completedAt: string | null;
}

interface RunPage {
  readonly runs: readonly ListedRun[];
  readonly nextCursor: string | null;
  readonly prevCursor: string | null;
  readonly corrupt: readonly string[];
  readonly now: string;
}

const statuses = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"];
const filters = ["workflow", "resource", "after", "before"] as const;

/** Tags that may be redacted are not an object. */
export function tagsOf(tags: unknown): string[] {
  if (tags === null || tags === undefined) return [];
  if (typeof tags !== "object") return [JSON.stringify(tags)];
  return Object.entries(tags).map(([key, value]) => `${key}=${String(value)}`);
}

export function Runs({
  params,
  canChange,
}: {
  readonly params: URLSearchParams;
  readonly canChange: boolean;
}) {
  const page = useData<RunPage>(`runs?${params.toString()}`);
  const [action, setAction] = useState<BulkAction | null>(null);
  const toPage = (cursor: string | null) => {
    const next = new URLSearchParams(params);
    if (cursor === null) next.delete("cursor");
    else next.set("cursor", cursor);
    return `runs?${next.toString()}`;
  };
  return (
    <>
      <div class="page-head">
        <h1>Runs</h1>
        <FindRun />
      </div>
      <FilterForm params={params} />
      {canChange && (
        <div class="actions" role="group" aria-label="Change all runs that match the filter">
          <span class="muted">All that match:</span>
          {(["cancel", "retry", "delete"] as const).map((each) => (
            <button key={each} type="button" onClick={() => setAction(each)}>
              {{ cancel: "Cancel…", retry: "Retry…", delete: "Delete…" }[each]}
            </button>
          ))}
        </div>
      )}
      {action !== null && (
        <BulkDialog
          action={action}
          params={params}
          onClose={() => {
            setAction(null);
            page.reload();
          }}
        />
      )}
      <Load from={page}>
        {({ runs, nextCursor, prevCursor, corrupt, now }) => (
          <>
            {corrupt.map((message) => (
              <Problem key={message} message={`A run cannot be read: ${message}`} />
            ))}
            {runs.length === 0 ? (
              <Empty>No run matches.</Empty>
            ) : (
              <Table
                label="Runs"
                rows={runs}
                columns={[
                  { title: "Status", cell: (run) => <Status value={run.status} /> },
                  { title: "Run", cell: (run) => <RunLink runId={run.runId} /> },
                  {
                    title: "Workflow",
                    cell: (run) => (
                      <a href={addressOf("runs", { workflow: run.workflowId })}>
                        <Text value={run.workflowId} />
                      </a>
                    ),
                  },
                  { title: "Version", cell: (run) => <Text value={run.workflowVersion} /> },
                  { title: "Resource", cell: (run) => <Text value={run.resourceId ?? "–"} /> },
                  {
                    title: "Tags",
                    cell: ({ tags }) => tagsOf(tags).map((tag) => <Tag key={tag} tag={tag} />),
                  },
                  { title: "Progress", isNumber: true, cell: (run) => share(run.progress) },
                  { title: "Attempt", isNumber: true, cell: (run) => run.attempt },
                  { title: "Created", cell: (run) => time(run.createdAt) },
                  {
                    title: "Took",
                    isNumber: true,
                    cell: (run) =>
                      duration(
                        run.startedAt === null
                          ? null
                          : ms(run.completedAt ?? now) - ms(run.startedAt),
                      ),
                  },
                ]}
              />
            )}
            <nav class="pager" aria-label="Pages of runs">
              {params.has("cursor") && <a href={toPage(null)}>Newest</a>}
              {prevCursor !== null && <a href={toPage(prevCursor)}>Newer</a>}
              {nextCursor !== null && <a href={toPage(nextCursor)}>Older</a>}
            </nav>
          </>
        )}
      </Load>
    </>
  );
}

export const Tag = ({ tag }: { readonly tag: string }) => (
  <a class="tag" href={addressOf("runs", { tag })}>
    <Text value={tag} />
  </a>
);

/** Opens the run with an id. */
function FindRun() {
  const [message, setMessage] = useState("");
  return (
    <form
      class="find"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const runId = fieldOf(new FormData(event.currentTarget), "id");
        if (runId === "") return;
        request(addressOf("find", { id: runId })).then(
          () => navigate(runAddress(runId)),
          (error: Error) => setMessage(error.message),
        );
      }}
    >
      <label for="find-run">Run id</label>
      <input id="find-run" name="id" autocomplete="off" spellcheck={false} placeholder="Ctrl+K" />
      <button>Open</button>
      <span role="status" class="muted">
        {shown(message)}
      </span>
    </form>
  );
}

/** A time of the filter in the form that the input takes, in the zone of the browser. */
function localTime(text: string | null): string {
  const at = text === null ? NaN : ms(text);
  if (Number.isNaN(at)) return "";
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Without it, a year may have six digits. */
const lastTime = "9999-12-31T23:59:59";

function FilterForm({ params }: { readonly params: URLSearchParams }) {
  const chosen = params.getAll("status");
  const isFiltered =
    chosen.length > 0 || params.has("tag") || filters.some((name) => params.has(name));
  const form = useRef<HTMLFormElement>(null);
  // The fields show the filter of the address. The form stays, and with it the focus.
  useLayoutEffect(() => form.current?.reset(), [params.toString()]);
  return (
    <form
      ref={form}
      class="filters"
      aria-label="Filter runs"
      onSubmit={(event) => {
        event.preventDefault();
        apply(event.currentTarget);
      }}
    >
      <label>
        Workflow
        <input name="workflow" defaultValue={params.get("workflow") ?? ""} />
      </label>
      <label>
        Resource
        <input name="resource" defaultValue={params.get("resource") ?? ""} />
      </label>
      <label>
        Tags, one key=value per line
        <textarea name="tags" rows={1} defaultValue={params.getAll("tag").join("\n")} />
      </label>
      <label>
        Created after
        <input
          type="datetime-local"
          step="1"
          name="after"
          max={lastTime}
          defaultValue={localTime(params.get("after"))}
        />
      </label>
      <label>
        Created before
        <input
          type="datetime-local"
          step="1"
          name="before"
          max={lastTime}
          defaultValue={localTime(params.get("before"))}
        />
      </label>
      <fieldset>
        <legend>Status</legend>
        {statuses.map((status) => (
          <label key={status}>
            <input
              type="checkbox"
              name="status"
              value={status}
              defaultChecked={chosen.includes(status)}
            />
            {status.toLowerCase()}
          </label>
        ))}
      </fieldset>
      <button class="primary">Filter</button>
      {isFiltered && <a href="runs">Clear</a>}
    </form>
  );
}

/** Lists the runs that match the form. */
function apply(form: HTMLFormElement): void {
  const given = new FormData(form);
  const timeOf = (name: string) => {
    const text = fieldOf(given, name);
    return text === "" ? "" : new Date(text).toISOString();
  };
  navigate(
    addressOf("runs", {
      workflow: fieldOf(given, "workflow"),
      resource: fieldOf(given, "resource"),
      status: given.getAll("status").filter((each) => typeof each === "string"),
      tag: fieldOf(given, "tags")
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== ""),
      after: timeOf("after"),
      before: timeOf("before"),
    }),
  );
}
