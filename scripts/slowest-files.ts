import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

/** Prints the ten test files that took longest, so that a slow one is noticed when it is added. */
// Vitest takes a reporter's default export.
// oxlint-disable-next-line import/no-default-export
export default class SlowestFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    if (modules.length < 2) return;
    const files = modules.map((module) => {
      const { duration, collectDuration } = module.diagnostic();
      return { path: relative(process.cwd(), module.moduleId), ms: duration + collectDuration };
    });
    const slowest = files.toSorted((a, b) => b.ms - a.ms).slice(0, 10);
    console.log("\nThe slowest files:");
    for (const { path, ms } of slowest)
      console.log(`${(ms / 1000).toFixed(1).padStart(7)} s  ${path}`);
  }
}
