/**
 * What a run of 4 steps costs on two builds, in memory and on a file: CPU and wall time, and their ratios. Each number is
 * the best of several processes, which take turns. From the root: `npx tsx bench/compare-builds.ts <root> <root> [turns]`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const [first = ".", second = ".", turns = "3"] = process.argv.slice(2);
const roots = [first, second];
const program = join(import.meta.dirname, "programs", "four-step-runs.mjs");

interface Cost {
  readonly cpuUs: number;
  readonly wallUs: number;
  readonly completed: number;
  readonly rows: Record<string, number>;
}

function measure(root: string, place: string, together: number): Cost {
  const args = ["--expose-gc", program, root, place, String(together)];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Cost;
}

const best = (costs: readonly Cost[], name: "cpuUs" | "wallUs") =>
  Math.min(...costs.map((cost) => cost[name]));

for (const place of ["memory", "file"]) {
  for (const together of [1, 100]) {
    const costs = roots.map((): Cost[] => []);
    for (let turn = 0; turn < Number(turns); turn++) {
      for (const [index, root] of roots.entries()) {
        costs[index]?.push(measure(root, place, together));
      }
    }
    const durability = place === "file" ? "file, durability normal" : "memory";
    console.log(`\n4 steps, ${durability}, ${together} at once, µs a run:`);
    for (const name of ["cpuUs", "wallUs"] as const) {
      const [before = Number.NaN, after = Number.NaN] = costs.map((each) => best(each, name));
      const ratio = (after / before).toFixed(2);
      console.log(`  ${name}: ${before.toFixed(0)} and ${after.toFixed(0)}, ratio ${ratio}`);
    }
    const [last] = costs[1] ?? [];
    console.log(`  completed runs counted in each process: ${last?.completed}`, last?.rows);
  }
}
