import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withTableDiagram } from "../../scripts/generate-table-diagram.ts";
import { checkReopen, checkRunUpdate } from "../../src/model/transitions.ts";
import { runStatuses, type RunStatus } from "../../src/statuses.ts";
import { root } from "./support/code-blocks.ts";

test("the diagram of the tables is that of the schema; `npm run docs:diagram` writes it", async () => {
  const page = await readFile(join(root, "docs/tables.md"), "utf8");
  expect(page).toContain("```mermaid\nerDiagram\n  workflow_runs ||--o{ step_executions : has\n");
  expect(withTableDiagram(page)).toBe(page);
});

/** Whether a run may go from one status to another by an update, or by being reopened. */
function isAllowed(from: RunStatus, to: RunStatus): boolean {
  const run = { runId: "r", status: from, revision: 1, workerId: null, attempt: 1 };
  const checks = [() => checkRunUpdate(run, to, { fence: null }), () => checkReopen(run)];
  const [canUpdate, canReopen] = checks.map((check) => {
    try {
      check();
      return true;
    } catch {
      return false;
    }
  });
  return canUpdate === true || (canReopen === true && to === "PENDING");
}

test("the diagram of a run has every status, and every way out of a final status", async () => {
  const page = await readFile(join(root, "docs/engine.md"), "utf8");
  const [, diagram = ""] = /```mermaid\nstateDiagram-v2\n([^]*?)```/.exec(page) ?? [];
  const drawn = [...diagram.matchAll(/^ {2}(\w+) --> (\w+) : /gm)].map(
    ([, from, to]) => `${from} ${to}`,
  );
  expect(new Set(drawn.flatMap((pair) => pair.split(" ")))).toEqual(new Set(runStatuses));

  const pairs = runStatuses.flatMap((from) => runStatuses.map((to) => [from, to] as const));
  const allowed = pairs.filter(([from, to]) => isAllowed(from, to)).map((pair) => pair.join(" "));
  expect(drawn.filter((pair) => !allowed.includes(pair))).toEqual([]);
  const isFromFinal = (pair: string) => !/^(PENDING|RUNNING) /.test(pair);
  expect(drawn.filter(isFromFinal)).toEqual(allowed.filter(isFromFinal));
});
