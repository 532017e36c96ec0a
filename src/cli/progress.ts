import { Presets, SingleBar } from "cli-progress";
import type { RunFilter } from "../model/run-queries.ts";
import type { WorkflowStore } from "../store/workflow-store.ts";
import { note } from "./output.ts";
import { formatCount } from "./words.ts";

/** Where progress is shown: the standard error. The command's answer stays alone on the standard output. */
interface Progress {
  update(done: number): void;
  /** Leaves what was shown last. */
  stop(): void;
}

interface ProgressOptions {
  /** What is counted: `runs`. */
  readonly unit: string;
  /** Null when nobody knows how many there will be. */
  readonly total: number | null;
  readonly quiet: boolean;
}

/**
 * Runs `work` and shows how far it says it is: a bar with the time that is left on a terminal, and lines elsewhere,
 * one for each tenth or each 10,000. With `quiet`, nothing.
 */
export async function withProgress<T>(
  { unit, total, quiet }: ProgressOptions,
  work: (update: (done: number) => void) => Promise<T>,
): Promise<T> {
  if (quiet) return work(() => {});
  const progress = process.stderr.isTTY ? showBar(unit, total) : showLines(unit, total);
  try {
    return await work((done) => progress.update(done));
  } finally {
    progress.stop();
  }
}

function showBar(unit: string, total: number | null): Progress {
  const format =
    total === null
      ? `{value} ${unit} | {duration_formatted}`
      : `{bar} {percentage}% | {value} of {total} ${unit} | {eta_formatted} left`;
  const bar = new SingleBar(
    { format, stream: process.stderr, hideCursor: true, etaBuffer: 50 },
    Presets.shades_classic,
  );
  bar.start(total ?? 0, 0);
  return {
    update: (done) => {
      if (done > bar.getTotal()) bar.setTotal(done);
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

const lineEvery = 10_000;

function showLines(unit: string, total: number | null): Progress {
  const step = total === null ? lineEvery : Math.max(1, total / 10);
  let shown = 0;
  return {
    update(done) {
      const steps = Math.floor(done / step);
      if (steps <= shown) return;
      shown = steps;
      const of = total === null ? "" : ` of ${formatCount(total)}`;
      note(`${formatCount(done)}${of} ${unit}`);
    },
    stop() {},
  };
}

/** How many runs there are to do. */
export async function countOf(store: WorkflowStore, filter: RunFilter): Promise<number> {
  return Object.values(await store.countRuns(filter)).reduce((sum, count) => sum + count, 0);
}
