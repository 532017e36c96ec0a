import cliProgress, { type Options, type Params } from "cli-progress";
import type { RunFilter } from "../../model/run-queries.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import type { JsonOptions } from "../options.ts";
import { note } from "./output.ts";
import { formatCount } from "./words.ts";

// Node does not find all names of this CommonJS module.
const { Format, Presets, SingleBar } = cliProgress;

/** Progress goes to standard error; standard output has only the answer. */
interface Progress {
  update(done: number, what: string): void;
  /** Leaves the last state visible. */
  stop(): void;
}

interface ProgressOptions {
  /** The number of runs; null if it is not known. */
  readonly total: number | null;
  /** It may turn out to be fewer. */
  readonly atMost?: boolean;
  /** With `json`, nothing is shown. */
  readonly options: JsonOptions;
}

/**
 * Runs `work` and shows how many runs are done: on a terminal a bar with the remaining time, elsewhere a line for each
 * tenth, or for each 10,000 without a total.
 */
export async function withProgress<T>(
  { total, atMost = false, options }: ProgressOptions,
  work: (update: (done: number) => void) => Promise<T>,
): Promise<T> {
  if (options.json) return work(() => {});
  const of = total === null ? "" : ` of ${atMost ? "at most " : ""}${formatCount(total)}`;
  const progress = isOnTerminal() ? showBar(total) : showLines(total);
  try {
    return await work((done) => progress.update(done, `${formatCount(done)}${of} runs`));
  } finally {
    progress.stop();
  }
}

/** True if progress is a bar that is redrawn, false if it is a list of lines. */
export function isOnTerminal(): boolean {
  return process.stderr.isTTY;
}

/** Columns for the text beside the bar. A narrow terminal cuts its end. */
const besideBar = 50;

function showBar(total: number | null): Progress {
  const format = total === null ? `{what} | {duration_formatted}` : drawBar;
  const barsize = Math.min(40, Math.max(5, process.stderr.columns - besideBar));
  const bar = new SingleBar(
    { format, barsize, stream: process.stderr, hideCursor: true, etaBuffer: 50 },
    Presets.shades_classic,
  );
  bar.start(total ?? 0, 0, { what: "" });
  return {
    update: (done, what) => {
      if (done > bar.getTotal()) bar.setTotal(done);
      bar.update(done, { what });
    },
    stop: () => bar.stop(),
  };
}

/** The library's own formats print an unknown time as `LLs` or `NFs`. */
function drawBar(options: Options, params: Params, { what }: { what: string }): string {
  const { progress, value, total, eta } = params;
  // It is a string if it is not known, against its type.
  const seconds: unknown = value >= total ? 0 : eta;
  const left =
    value > 0 && typeof seconds === "number" ? Format.TimeFormat(seconds, options, 1).trim() : "?";
  return `${Format.BarFormat(progress, options)} ${Math.floor(progress * 100)}% | ${left} left | ${what}`;
}

const lineEvery = 10_000;

function showLines(total: number | null): Progress {
  const step = total === null ? lineEvery : Math.max(1, total / 10);
  let shown = 0;
  return {
    update(done, what) {
      const steps = Math.floor(done / step);
      if (steps <= shown) return;
      shown = steps;
      note(what);
    },
    stop() {},
  };
}

/** How many runs match the filter. */
export async function countOf(store: WorkflowStore, filter: RunFilter): Promise<number> {
  return Object.values(await store.countRuns(filter)).reduce((sum, count) => sum + count, 0);
}
