import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  update(done: number): void;
  stop(): void;
}

/** Shows a progress bar on a terminal, and otherwise a line per tenth. */
export function showProgress(total: number): Progress {
  if (process.stdout.isTTY) {
    const bar = new SingleBar(
      { format: "{bar} {percentage}% | {value} of {total} orders | {eta_formatted} left" },
      Presets.shades_classic,
    );
    bar.start(total, 0);
    return { update: (done) => bar.update(done), stop: () => bar.stop() };
  }
  let shown = 0;
  return {
    update(done) {
      const tenths = total === 0 ? 10 : Math.floor((done * 10) / total);
      if (tenths > shown) console.log(`${done} of ${total} orders`);
      shown = tenths;
    },
    stop() {},
  };
}
