import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { findResumption, type StepRows } from "../../src/engine/run/run-history.ts";
import { findInputStage } from "../../src/engine/run/run-loading.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import type { StepStatus } from "../../src/statuses.ts";

const anything = z.unknown();
const step = <const Id extends string>(id: Id, continueOnError = false) =>
  defineStep({
    id,
    input: anything,
    output: anything,
    continueOnError,
    retry: { maxRetries: 5, delayMs: 1000, backoff: "linear" },
    run: () => null,
  });

const { plan } = defineWorkflow({ id: "w" })
  .step(step("first"))
  .stepIf(() => true, step("maybe"))
  .parallel(step("left"), step("right"), step("lenient", true))
  .step(step("last"))
  .build();

const startedAt = new Date(1000);
const updatedAt = new Date(5000);
const fresh = {
  runId: "r",
  executionIndex: 0,
  attemptOffset: 0,
  sleepCount: 0,
  wakeAt: null,
  input: null,
  inputFrom: null,
  durationMs: null,
  createdAt: startedAt,
  completedAt: null,
};

function rows(statuses: Record<string, StepStatus | [StepStatus, number]>): StepRows {
  return new Map(
    Object.entries(statuses).map(([stepId, given]) => {
      const [status, attempt] = typeof given === "string" ? [given, 1] : given;
      const error = `error of ${stepId}`;
      return [stepId, { ...fresh, stepId, status, attempt, startedAt, updatedAt, error }];
    }),
  );
}

function resumption(statuses: Record<string, StepStatus | [StepStatus, number]>) {
  const { stage, open, failed } = findResumption(plan, rows(statuses), 0);
  const ids = open.map(({ planned }) => planned.definition.id);
  return { stage, open: ids, failed: [...failed.keys()] };
}

function openStep(
  status: StepStatus,
  attempt: number,
  more: { attemptOffset?: number; sleepCount?: number; wakeAt?: Date } = {},
) {
  const given = rows({ first: [status, attempt] });
  for (const row of given.values()) Object.assign(row, more);
  return findResumption(plan, given, 0).open[0];
}

async function inputOf(statuses: Record<string, StepStatus>, stage: number, of = plan) {
  const reader = { rows: rows(statuses), read: async () => {} };
  const found = await findInputStage(of, reader, stage);
  return found?.steps.map(({ definition }) => definition.id);
}

test("a run without rows begins at its first stage", () => {
  expect(resumption({})).toEqual({ stage: 0, open: ["first"], failed: [] });
});

test("completed and skipped steps are not run again", () => {
  expect(resumption({ first: "COMPLETED", maybe: "SKIPPED" })).toEqual({
    stage: 2,
    open: ["left", "right", "lenient"],
    failed: [],
  });
});

test("a stage resumes with the steps that have not ended", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(
    resumption({ ...before, left: "COMPLETED", right: "RUNNING", lenient: "PENDING" }),
  ).toEqual({ stage: 2, open: ["right", "lenient"], failed: [] });
});

test("a failed step stays failed while other steps of its stage are open", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(resumption({ ...before, left: "FAILED", right: "RUNNING", lenient: "COMPLETED" })).toEqual(
    {
      stage: 2,
      open: ["right"],
      failed: ["left"],
    },
  );
});

test("a step that failed with continueOnError has ended", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(
    resumption({ ...before, left: "COMPLETED", right: "COMPLETED", lenient: "FAILED" }),
  ).toEqual({ stage: 3, open: ["last"], failed: [] });
});

test("a reopened run restarts only its failed steps", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(
    resumption({ ...before, left: "FAILED", right: "COMPLETED", lenient: "COMPLETED" }),
  ).toEqual({ stage: 2, open: ["left"], failed: [] });
  expect(resumption({ first: "FAILED" }).open).toEqual(["first"]);
});

test("a run that was cancelled and reopened restarts cancelled and failed steps", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(
    resumption({ ...before, left: "FAILED", right: "CANCELLED", lenient: "COMPLETED" }),
  ).toEqual({ stage: 2, open: ["left", "right"], failed: [] });
});

test("a run that was reopened from a step restarts the failed steps beside it", () => {
  const before = { first: "COMPLETED", maybe: "COMPLETED" } as const;
  expect(resumption({ ...before, left: "FAILED", right: "PENDING" })).toEqual({
    stage: 2,
    open: ["left", "right", "lenient"],
    failed: [],
  });
});

test("a run whose steps have all ended resumes after the last stage", () => {
  const all = [...plan.stepIds].map((id): [string, StepStatus] => [id, "COMPLETED"]);
  expect(resumption(Object.fromEntries(all))).toEqual({
    stage: 4,
    open: [],
    failed: [],
  });
});

describe("the attempt at which a step resumes", () => {
  test("an interrupted attempt restarts with its number", () => {
    expect(openStep("RUNNING", 3)).toMatchObject({ attempt: 3, notBefore: null, startedAt });
  });

  test("a step that waits for a retry waits until the stored time", () => {
    const wakeAt = new Date(9000);
    expect(openStep("RETRYING", 3, { wakeAt })).toMatchObject({
      attempt: 4,
      notBefore: wakeAt,
      startedAt,
      row: "earlier",
    });
  });

  test("a sleeping step continues its attempt at the stored time", () => {
    const wakeAt = new Date(9000);
    expect(openStep("RUNNING", 2, { wakeAt, sleepCount: 3 })).toMatchObject({
      attempt: 2,
      sleepCount: 3,
      notBefore: wakeAt,
    });
  });

  test("without a stored time, the wait is computed from the failure and the retries since the reopening", () => {
    expect(openStep("RETRYING", 5, { attemptOffset: 3 })).toMatchObject({
      attempt: 6,
      notBefore: new Date(updatedAt.getTime() + 2000),
    });
    expect(openStep("RETRYING", 3)).toMatchObject({
      attempt: 4,
      notBefore: new Date(updatedAt.getTime() + 3000),
      startedAt,
      row: "earlier",
    });
  });

  test.each(["PENDING", "FAILED", "CANCELLED"] as const)(
    "a step that is %s restarts with the next number",
    (status) => {
      expect(openStep(status, 3, { sleepCount: 2 })).toMatchObject({
        attempt: 4,
        attemptOffset: 3,
        sleepCount: 0,
        startedAt: null,
        row: "earlier",
      });
    },
  );
});

describe("the stage whose output is a stage's input", () => {
  test("is the one before", async () => {
    expect(await inputOf({ first: "COMPLETED", maybe: "COMPLETED" }, 2)).toEqual(["maybe"]);
  });

  test("is the one before a skipped one", async () => {
    expect(await inputOf({ first: "COMPLETED", maybe: "SKIPPED" }, 2)).toEqual(["first"]);
  });

  test("is missing if the input is that of the run", async () => {
    expect(await inputOf({}, 0)).toBeUndefined();
    const { plan: skipping } = defineWorkflow({ id: "w" })
      .stepIf(() => false, step("first"))
      .step(step("last"))
      .build();
    expect(await inputOf({ first: "SKIPPED" }, 1, skipping)).toBeUndefined();
  });
});
