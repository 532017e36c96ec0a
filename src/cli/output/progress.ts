import cliProgress, { type Options, type Params } from "cli-progress";
import type { RunFilter } from "../../model/run-queries.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { note } from "./output.ts";
import { formatCount } from "./words.ts";

// Node finds not all names of this CommonJS module.
const { Format, Presets, SingleBar } = cliProgress;

/** Where progress is shown: the standard error. The command's answer stays alone on the standard output. */
interface Progress {
  update(done: number, what: string): void;
  /** Leaves what was shown last. */
  stop(): void;
}

export interface ProgressOptions {
  /** What `done` counts up to: null when nobody knows. */
  readonly total: number | null;
  /** The work so far in words, beside the share of the total. */
  readonly describe: (done: number) => string;
  readonly quiet: boolean;
}

/**
 * Runs `work` and shows how far it says it is: a bar with the time that is left on a terminal, and lines elsewhere,
 * one for each tenth, or each 10,000 where there is no total. With `quiet`, nothing.
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

/** True where progress is a bar that is drawn over and over, and false where each line of it stays. */
export function isOnTerminal(): boolean {
  return process.stderr.isTTY;
}

/** Options for so many runs; with `atMost`, some of them may turn out to be none. */
export function runsProgress(
  total: number | null,
  { quiet, atMost = false }: { readonly quiet: boolean; readonly atMost?: boolean },
): ProgressOptions {
  const of = total === null ? "" : ` of ${atMost ? "at most " : ""}${formatCount(total)}`;
  return { total, describe: (done) => `${formatCount(done)}${of} runs`, quiet };
}

/** What stands beside the bar: a share, a time, and counts of runs, of which a narrow terminal may cut the end. */
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

/** The library's own formats say of a time that it does not know `LLs` or `NFs`. */
function drawBar(options: Options, params: Params, { what }: { what: string }): string {
  const { progress, value, total, eta } = params;
  // A text where it is not known, whatever its type says.
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

/** How many runs there are to do. */
export async function countOf(store: WorkflowStore, filter: RunFilter): Promise<number> {
  return Object.values(await store.countRuns(filter)).reduce((sum, count) => sum + count, 0);
}
