import cliProgress, { type Options, type Params } from "cli-progress";
import type { RunFilter } from "../../model/run-queries.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { note } from "./output.ts";
import { formatCount } from "./words.ts";

// Node does not find all named exports of this CommonJS module.
const { Format, Presets, SingleBar } = cliProgress;

/** Progress goes to stderr, so that stdout contains only the result. */
interface Progress {
  update(done: number, what: string): void;
  /** Ends the display. */
  stop(): void;
}

export interface ProgressOptions {
  /** The final value of `done`; null if it is unknown. */
  readonly total: number | null;
  /** The text beside the bar. */
  readonly describe: (done: number) => string;
  readonly quiet: boolean;
}

/**
 * Runs `work` and shows its progress: on a terminal a bar with the remaining time, and otherwise a line per tenth, or
 * per 10,000 if the total is unknown. With `quiet` it shows nothing.
 */
export async function withProgress<T>(
  { total, describe, quiet }: ProgressOptions,
  work: (update: (done: number) => void) => Promise<T>,
): Promise<T> {
  if (quiet) return work(() => {});
  const progress = isOnTerminal() ? showBar(total) : showLines(total);
  try {
    return await work((done) => progress.update(done, describe(done)));
  } finally {
    progress.stop();
  }
}

/** True if progress is a bar, and false if it is lines. */
export function isOnTerminal(): boolean {
  return process.stderr.isTTY;
}

/** Progress options for a number of runs. With `atMost`, there may be fewer. */
export function runsProgress(
  total: number | null,
  { quiet, atMost = false }: { readonly quiet: boolean; readonly atMost?: boolean },
): ProgressOptions {
  const of = total === null ? "" : ` of ${atMost ? "at most " : ""}${formatCount(total)}`;
  return { total, describe: (done) => `${formatCount(done)}${of} runs`, quiet };
}

/** The width of the text beside the bar. A narrow terminal may cut it. */
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

/** Replaces the formats of the library, which print an unknown time as `LLs` or `NFs`. */
function drawBar(options: Options, params: Params, { what }: { what: string }): string {
  const { progress, value, total, eta } = params;
  // It is a string if the time is unknown, contrary to its type.
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

/** The number of matching runs. */
export async function countOf(store: WorkflowStore, filter: RunFilter): Promise<number> {
  return Object.values(await store.countRuns(filter)).reduce((sum, count) => sum + count, 0);
}
