import { monitorEventLoopDelay } from "node:perf_hooks";

export interface Measurement {
  readonly subject: string;
  /** Median over the rounds of the mean time of one operation, in microseconds. */
  readonly us: number;
  /** Of single operations, over all rounds, in microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** The longest that the event loop was held, in milliseconds. */
  readonly loopMs: number;
}

export interface Work {
  readonly subject: string;
  /** Operations that one call of `run` stands for; 1 when absent. */
  readonly size?: number;
  /** Calls in a round. */
  readonly calls: number;
  readonly run: (call: number) => Promise<unknown> | unknown;
}

const warmUps = 2;
const rounds = 5;

/**
 * Runs the subjects in turns, two warm-up rounds and five measured ones each, so that what slows the machine slows
 * them all. How long the event loop is held is looked at in one more round: the timer that looks costs time.
 */
export async function measure(works: readonly Work[]): Promise<Measurement[]> {
  const means = works.map((): number[] => []);
  const singles = works.map((): number[] => []);
  let call = 0;
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const [index, work] of works.entries()) {
      await clearAway();
      const times = await timesOf(work, call);
      if (round < warmUps) continue;
      means[index]?.push(times.reduce((sum, time) => sum + time, 0) / times.length);
      for (const time of times) singles[index]?.push(time);
    }
    call += Math.max(...works.map(({ calls }) => calls));
  }
  const holds: number[] = [];
  for (const work of works) {
    await clearAway();
    holds.push(await longestHold(work, call));
  }
  return works.map(({ subject }, index) => ({
    subject,
    us: quantile(means[index] ?? [], 0.5),
    p50: quantile(singles[index] ?? [], 0.5),
    p99: quantile(singles[index] ?? [], 0.99),
    loopMs: holds[index] ?? Number.NaN,
  }));
}

/**
 * Ends what the subject before left behind: what it forgot is finalized in a later turn of the event loop, and
 * would be charged to the first subject that lets the loop turn.
 */
async function clearAway(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The time of one operation in each call, in microseconds. */
async function timesOf({ calls, size = 1, run }: Work, first: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < calls; index++) {
    const before = performance.now();
    await run(first + index);
    times.push(((performance.now() - before) * 1000) / size);
  }
  return times;
}

async function longestHold({ calls, run }: Work, first: number): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let index = 0; index < calls; index++) await run(first + index);
  // The hold that has just ended is seen by the next timer.
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  return delay.max / 1e6;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
