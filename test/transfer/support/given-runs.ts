import type { RunStatus } from "../../../src/statuses.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

const statuses: readonly RunStatus[] = ["COMPLETED", "FAILED", "PENDING", "RUNNING", "CANCELLED"];
const beginning = Date.UTC(2026, 0, 1);

/** A run with something in every column and every table, different for each number. */
export async function givenRun(store: WorkflowStore, n: number): Promise<void> {
  const status = statuses[n % statuses.length] ?? "PENDING";
  const at = new Date(beginning + Math.floor(n / 3) * 1000);
  const runId = `run-${String(n).padStart(6, "0")}`;
  await store.createRun({
    runId,
    workflowId: n % 2 === 0 ? "orders" : "refunds",
    workflowVersion: `${n % 4}`,
    status,
    progress: (n % 10) / 10,
    input: { n, text: `line\n"${n}" ë 漢 \u{1F600} \ud800`, list: [1.5, null, true, { a: {} }] },
    output: n % 2 === 0 ? null : [n],
    error: status === "FAILED" ? { message: "no" } : null,
    tags: n % 3 === 0 ? { customer: "acme" } : null,
    resourceId: n % 4 === 0 ? `resource-${n}` : null,
    idempotencyKey: `key-${n}`,
    workerId: status === "RUNNING" ? "worker" : null,
    leaseExpiresAt: status === "RUNNING" ? at : null,
    createdAt: at,
    startedAt: status === "PENDING" ? null : at,
    completedAt: status === "PENDING" || status === "RUNNING" ? null : at,
    updatedAt: at,
  });
  await store.batch((write) => {
    for (let step = 0; step < n % 4; step++) {
      write.createStepExecution({
        runId,
        stepId: `step-${step}`,
        executionIndex: step,
        status: "COMPLETED",
        input: { step },
        durationMs: step,
      });
      // The exports of older versions hold the first six runs, and knew no attempts.
      if (n >= 6) write.saveStepAttempt({ runId, stepId: `step-${step}`, attempt: n, status });
      write.saveStepOutput(runId, `step-${step}`, { step, n });
    }
    write.saveState(runId, "total", n);
  });
}

export async function givenRuns(store: WorkflowStore, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => givenRun(store, n)));
}

/** Gives the idempotency key of a run to a newer one. 150 runs are between the two. `before` is called before that. */
export async function passKey(store: WorkflowStore, before: () => Promise<unknown>): Promise<void> {
  const daily = { workflowId: "w", idempotencyKey: "today" };
  await store.createRun({ ...daily, runId: "old", createdAt: new Date(0) });
  await before();
  await givenRuns(store, 150);
  for (const { run, ...children } of (await store.readBundles({ runIds: ["old"] })).bundles) {
    const freed = { ...run, idempotencyKey: null, revision: run.revision + 1 };
    await store.writeBundles([{ run: freed, ...children }], { onConflict: "replace" });
  }
  await store.createRun({ ...daily, runId: "new" });
}
