import type { WorkflowStore } from "../store/workflow-store.ts";
import { CorruptRowError } from "../errors.ts";
import { withinTime } from "./answers.ts";
import { describeError } from "./errors.ts";

const pollMs = 1000;
/** A poll that hangs for longer is given up, so that it does not stop the updates. */
export const longestPollMs = 30_000;
/** Every so many polls the page reads again what a poll does not see: older runs, steps and workers. */
const refreshEvery = 5;
const newestRuns = 100;
const mostRuns = 1000;

interface Viewer {
  /** The run that the page shows; null for a page of many runs. */
  readonly runId: string | null;
  send(event: string, data: unknown): void;
  end(): void;
}

/**
 * Tells viewers when runs have changed. While there are viewers, the store gets one query per second: for the newest runs
 * or, if single runs are viewed, for these, in turns if both are needed.
 */
export class LiveUpdates {
  readonly #store: WorkflowStore;
  readonly #onChange: () => void;
  readonly #viewers = new Set<Viewer>();
  #newest: string | null = null;
  /** The state of each run that is viewed. */
  #revisions: ReadonlyMap<string, string> = new Map();
  /** Viewed runs that cannot be read. Reading them again would hide the others from their viewers. */
  readonly #corrupt = new Set<string>();
  #polls = 0;
  #isRunning = false;

  /** Calls `onChange` before viewers are told of a change. */
  constructor(store: WorkflowStore, onChange: () => void) {
    this.#store = store;
    this.#onChange = onChange;
  }

  /** A stream of server-sent events, until the request is aborted. */
  open(runId: string | null, { method, signal }: Pick<Request, "method" | "signal">): Response {
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
    if (method === "HEAD" || signal.aborted) return new Response(null, { headers });
    const encoder = new TextEncoder();
    let viewer: Viewer;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        viewer = {
          runId,
          send: (event, data) => {
            // A viewer that does not read must not fill the memory.
            if ((controller.desiredSize ?? 0) < -100) return viewer.end();
            const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
            controller.enqueue(encoder.encode(text));
          },
          end: () => {
            if (this.#viewers.delete(viewer)) controller.close();
          },
        };
        this.#viewers.add(viewer);
        viewer.send("hello", {});
        signal.addEventListener("abort", () => viewer.end());
        void this.#run();
      },
      cancel: () => void this.#viewers.delete(viewer),
    });
    return new Response(body, { headers });
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#viewers.size > 0) {
      await this.#poll();
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    this.#isRunning = false;
    this.#newest = null;
    this.#revisions = new Map();
    this.#corrupt.clear();
  }

  async #poll(): Promise<void> {
    this.#polls++;
    const viewers = [...this.#viewers];
    const viewed = new Set(viewers.flatMap(({ runId }) => runId ?? []));
    const runIds = [...viewed].filter((id) => !this.#corrupt.has(id)).slice(0, mostRuns);
    const isOfMany = viewers.some(({ runId }) => runId === null);
    try {
      const isOfRuns = runIds.length > 0 && (!isOfMany || this.#polls % 2 === 0);
      await withinTime(longestPollMs, isOfRuns ? this.#pollRuns(runIds) : this.#pollNewest());
      if (this.#polls % refreshEvery === 0) this.#tell("refresh", {});
    } catch (error) {
      this.#tell("trouble", describeError(error).error);
    }
  }

  async #pollNewest(): Promise<void> {
    const { runs, corrupt } = await this.#store.listRuns({ limit: newestRuns });
    const newest = JSON.stringify([
      runs.map(({ runId, revision }) => [runId, revision]),
      corrupt.length,
    ]);
    const isChanged = this.#newest !== null && this.#newest !== newest;
    this.#newest = newest;
    if (isChanged) this.#tellChanged(null);
  }

  async #pollRuns(runIds: readonly string[]): Promise<void> {
    const runs = await this.#store.getRuns(runIds, { payloads: false }).catch((error: unknown) => {
      const runId = error instanceof CorruptRowError ? error.key["run_id"] : undefined;
      if (runId === undefined || !runIds.includes(runId)) throw error;
      this.#corrupt.add(runId);
      return null;
    });
    if (runs === null) return;
    const found = new Map(runs.map((run) => [run.runId, `${run.revision} ${run.attempt}`]));
    const before = this.#revisions;
    this.#revisions = new Map(runIds.map((runId) => [runId, found.get(runId) ?? "deleted"]));
    for (const [runId, now] of this.#revisions) {
      if (before.has(runId) && before.get(runId) !== now) this.#tellChanged(runId);
    }
  }

  #tellChanged(runId: string | null): void {
    this.#onChange();
    this.#tell("changed", {}, runId);
  }

  /** Sends an event to all viewers, or to those of `runId`. */
  #tell(event: string, data: unknown, runId?: string | null): void {
    for (const viewer of this.#viewers) {
      if (runId === undefined || viewer.runId === runId) viewer.send(event, data);
    }
  }
}
