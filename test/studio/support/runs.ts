import type { WorkflowStore } from "../../../src/store/workflow-store.ts";
import type { BundleInput } from "../../../src/model/bundles.ts";

const minuteMs = 60_000;

export interface GivenRuns {
  /** A run whose step `charge` failed twice. Tests may change it. */
  readonly failed: string;
  /** Another one, for pictures. */
  readonly shown: string;
  readonly completed: string;
  readonly failedRuns: number;
  /** The PENDING runs of the workflow `bulk`. */
  readonly bulkRuns: number;
}

const bulkRuns = 12;
const countries = ["DE", "FR", "AQ", "US"];

/** Runs of the last day in every status, with steps, attempts, waits and errors. */
export async function giveRuns(store: WorkflowStore): Promise<GivenRuns> {
  const now = Date.now();
  const bundles = Array.from({ length: 180 }, (_, index) => bundleOf(index, now));
  await store.writeBundles(bundles, { onConflict: "fail" });
  for (let index = 0; index < bulkRuns; index++) {
    await store.createRun({ workflowId: "bulk", input: { index } });
  }
  const failed = bundles.filter(({ run }) => run.status === "FAILED").map(({ run }) => run.runId);
  const [first = "", second = ""] = failed;
  const completed = bundles.find(({ run }) => run.status === "COMPLETED")?.run.runId ?? "";
  return { failed: first, shown: second, completed, failedRuns: failed.length, bulkRuns };
}

/** A run of an order: two steps in a row, two in parallel, and `charge`, which fails in every fourth run. */
function bundleOf(index: number, now: number): BundleInput {
  const runId = `01990000-0000-7000-8000-${String(index).padStart(12, "0")}`;
  const createdAt = now - (180 - index) * 8 * minuteMs;
  const startedAt = createdAt + 900 + (index % 7) * 200;
  const at = (ms: number) => new Date(startedAt + ms);
  const country = countries[index % 4] ?? "DE";
  const isFailed = country === "AQ";
  const slow = (index % 11) * 120;
  const error = {
    name: "PaymentError",
    message: "the bank refused the payment",
    code: "PAYMENT_REFUSED",
    cause: { name: "HttpError", message: "the bank answered with status 402" },
  };
  const step = (stepId: string, executionIndex: number, from: number, to: number) => ({
    runId,
    stepId,
    executionIndex,
    status: "COMPLETED" as const,
    attempt: 1,
    input: { order: index, step: stepId },
    error: null,
    durationMs: to - from,
    createdAt: at(0),
    startedAt: at(from),
    completedAt: at(to),
    updatedAt: at(to),
  });
  const end = 3400 + slow;
  const charge = step("charge", 4, 1500 + slow, end);
  const attempt = (number: number, from: number, to: number, status: "FAILED" | "COMPLETED") => ({
    runId,
    stepId: "charge",
    attempt: number,
    status,
    error: status === "FAILED" ? error : null,
    workerId: `worker-${index % 3}`,
    startedAt: at(from),
    completedAt: at(to),
  });
  const isRetried = isFailed || index % 3 === 0;
  const status = isFailed ? ("FAILED" as const) : ("COMPLETED" as const);
  return {
    run: {
      runId,
      workflowId: "order",
      workflowVersion: index < 90 ? "1" : "2",
      status,
      progress: isFailed ? 0.8 : 1,
      input: { order: index, country, items: [{ sku: "mug", count: 2 }], token: "secret" },
      output: isFailed ? null : { charged: 24.5 },
      error: isFailed ? error : null,
      context: null,
      tags: { country },
      resourceId: `customer-${index % 9}`,
      idempotencyKey: `order-${index}`,
      workerId: `worker-${index % 3}`,
      leaseExpiresAt: null,
      attempt: 1,
      revision: 7,
      createdAt: new Date(createdAt),
      startedAt: at(0),
      completedAt: at(end),
      updatedAt: at(end),
    },
    steps: [
      step("validate", 0, 0, 300),
      step("reserve", 1, 320, 700 + slow),
      step("label", 2, 720 + slow, 1200 + slow),
      step("notify", 3, 720 + slow, 1450 + slow),
      {
        ...charge,
        status,
        attempt: isRetried ? 2 : 1,
        error: isFailed ? error : null,
      },
    ],
    attempts: isRetried
      ? [attempt(1, 1500 + slow, 2100 + slow, "FAILED"), attempt(2, 2700 + slow, end, status)]
      : [],
    outputs: ["validate", "reserve", "label", "notify"].map((stepId) => ({
      runId,
      stepId,
      output: { stepId, ok: true },
      createdAt: at(300),
      updatedAt: at(300),
    })),
    state: [
      { runId, key: "stock", value: { mug: 40 - (index % 40) }, revision: 1, updatedAt: at(300) },
    ],
  };
}

/** Markup, quotes, characters that reorder text, and a path. */
export const hostileText = `<img src=x onerror="pwned=1">'"&\u202egnp.exe\u0007/../%2e<script>pwned=1</script>`;

/** A run whose every text is hostile, also its id. Returns the id. */
export async function giveHostileRuns(store: WorkflowStore): Promise<string> {
  const runId = `${hostileText}#?id=1`;
  let deep: unknown = hostileText;
  for (let depth = 0; depth < 500; depth++) deep = { [hostileText]: deep };
  const error = { name: hostileText, message: hostileText, cause: { message: hostileText } };
  const now = new Date();
  const common = { startedAt: now, completedAt: now, error };
  await store.createRun({
    runId,
    workflowId: hostileText,
    workflowVersion: hostileText,
    resourceId: hostileText,
    idempotencyKey: hostileText,
    workerId: hostileText,
    tags: { [hostileText]: hostileText, __proto__: "x" },
    status: "FAILED",
    input: { text: `${"long ".repeat(200_000)}the end of a long text` },
    output: deep,
    context: hostileText,
    ...common,
  });
  await store.createRun({ workflowId: hostileText, workflowVersion: hostileText });
  await store.createStepExecution({
    runId,
    stepId: hostileText,
    status: "FAILED",
    attempt: 2,
    input: hostileText,
    durationMs: 1,
    ...common,
  });
  await store.saveStepAttempt({
    runId,
    stepId: hostileText,
    attempt: 1,
    status: "FAILED",
    workerId: hostileText,
    ...common,
  });
  await store.saveStepOutput(runId, hostileText, { [hostileText]: hostileText });
  await store.saveState(runId, hostileText, hostileText);
  return runId;
}
