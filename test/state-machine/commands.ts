import fc from "fast-check";
import { expect } from "vitest";
import { GorkflowError } from "../../src/errors.ts";
import { runStatuses, stepStatuses } from "../../src/statuses.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import type { TestClock } from "../../src/testing/test-clock.ts";
import { Refusal, type Model, type ModelRun } from "./model.ts";

export interface Real {
  readonly store: WorkflowStore;
  readonly clock: TestClock;
}

type Command = fc.AsyncCommand<Model, Real>;

/** The same thing done to the model and to a store: both accept it, with the same answer, or refuse it alike. */
class Step implements Command {
  readonly #words: string;
  readonly #onModel: (model: Model) => unknown;
  readonly #onStore: (real: Real, model: Model) => Promise<unknown>;

  constructor(
    words: string,
    onModel: (model: Model) => unknown,
    onStore: (real: Real, model: Model) => Promise<unknown>,
  ) {
    this.#words = words;
    this.#onModel = onModel;
    this.#onStore = onStore;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    // What a command asks for may depend on what the model knows before it.
    const answer = this.#onStore(real, model).catch((error: unknown) => {
      if (error instanceof GorkflowError) return error.code;
      throw error;
    });
    let expected: unknown;
    try {
      expected = this.#onModel(model);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      expected = error.code;
    }
    expect(await answer).toEqual(expected);
    await compareRows(model, real);
  }

  toString(): string {
    return this.#words;
  }
}

async function compareRows(model: Model, { store }: Real): Promise<void> {
  const { bundles } = await store.readBundles({ limit: 100 });
  const found = bundles.map(({ run, steps }) => ({
    runId: run.runId,
    status: run.status,
    workerId: run.workerId,
    leaseExpiresAt: run.leaseExpiresAt?.getTime() ?? null,
    wakeAt: run.wakeAt?.getTime() ?? null,
    attempt: run.attempt,
    revision: run.revision,
    hasStartedAt: run.startedAt !== null,
    hasCompletedAt: run.completedAt !== null,
    createdAt: run.createdAt.getTime(),
    steps: new Map(
      steps.map(({ stepId, status, completedAt }) => [
        stepId,
        { status, hasCompletedAt: completedAt !== null },
      ]),
    ),
  }));
  const byId = (a: { runId: string }, b: { runId: string }): number => (a.runId < b.runId ? -1 : 1);
  const expected: ModelRun[] = [...model.runs.values()];
  expect(found.toSorted(byId)).toEqual(expected.toSorted(byId));
}

const runId = fc.constantFrom("run-a", "run-b", "run-c");
const stepId = fc.constantFrom("step-1", "step-2");
const workerId = fc.constantFrom("worker-1", "worker-2");
const fence = fc.option(workerId, { nil: undefined });
const leaseMs = fc.constantFrom(1, 100, 1000);

const create = fc.tuple(runId, fc.constantFrom(null, 0, 150)).map(
  ([id, waitMs]) =>
    new Step(
      `create ${id} for ${waitMs}`,
      (model) => model.create(id, waitMs === null ? null : model.now + waitMs),
      async ({ store, clock }) => {
        const wakeAt = waitMs === null ? null : new Date(clock.now().getTime() + waitMs);
        await store.createRun({ runId: id, workflowId: "w", wakeAt });
      },
    ),
);

const claim = fc.tuple(workerId, leaseMs, fc.integer({ min: 1, max: 3 })).map(
  ([worker, lease, limit]) =>
    new Step(
      `${worker} claims ${limit} for ${lease}`,
      (model) => model.claim(worker, lease, limit),
      async ({ store }) => {
        const runs = await store.claimRuns({ workerId: worker, leaseMs: lease, limit });
        return runs.map((run) => run.runId);
      },
    ),
);

const extend = fc.tuple(runId, workerId, leaseMs).map(
  ([id, worker, lease]) =>
    new Step(
      `${worker} extends ${id} by ${lease}`,
      (model) => model.extend(id, worker, lease),
      async ({ store }) => {
        await store.extendLease({ runId: id, workerId: worker, leaseMs: lease });
      },
    ),
);

const release = fc.tuple(runId, workerId).map(
  ([id, worker]) =>
    new Step(
      `${worker} releases ${id}`,
      (model) => model.release(id, worker),
      ({ store }) => store.releaseLease({ runId: id, workerId: worker }),
    ),
);

const pause = fc.constant(
  new Step(
    "pause",
    (model) => model.pause(),
    ({ store }) => store.pauseWorkflow("w"),
  ),
);

const resume = fc.constant(
  new Step(
    "resume",
    (model) => model.resume(),
    ({ store }) => store.resumeWorkflow("w"),
  ),
);

/** `revisionOffset` is added to the revision that the run has: 0 is right, all others are wrong. */
const update = fc
  .tuple(
    runId,
    fc.option(fc.constantFrom(...runStatuses), { nil: undefined }),
    fence,
    fc.option(fc.constantFrom(0, 0, 1), { nil: undefined }),
  )
  .map(([id, status, worker, revisionOffset]) => {
    const demands = (model: Model) => ({
      ...(worker !== undefined && { workerId: worker }),
      ...(revisionOffset !== undefined && {
        expectedRevision: (model.runs.get(id)?.revision ?? 1) + revisionOffset,
      }),
    });
    return new Step(
      `${worker ?? "anybody"} updates ${id} to ${status} at ${revisionOffset}`,
      (model) => model.update(id, status, demands(model)),
      async ({ store }, model) => {
        const changes = status === undefined ? { progress: 0.5 } : { status };
        await store.updateRun(id, changes, demands(model));
      },
    );
  });

const reopen = runId.map(
  (id) =>
    new Step(
      `reopen ${id}`,
      (model) => model.reopen(id),
      async ({ store }) => void (await store.reopenRun(id)),
    ),
);

const remove = runId.map(
  (id) =>
    new Step(
      `delete ${id}`,
      (model) => model.remove(id),
      ({ store }) => store.deleteRun(id),
    ),
);

const createStep = fc.tuple(runId, stepId).map(
  ([run, step]) =>
    new Step(
      `create ${step} of ${run}`,
      (model) => model.createStep(run, step),
      async ({ store }) => void (await store.createStepExecution({ runId: run, stepId: step })),
    ),
);

/** An ended step that is updated again needs COMPLETED before it. */
const newStatus = fc.constantFrom(...stepStatuses, "COMPLETED", "COMPLETED");

const updateStep = fc.tuple(runId, stepId, newStatus, fence).map(
  ([run, step, status, worker]) =>
    new Step(
      `${worker ?? "anybody"} updates ${step} of ${run} to ${status}`,
      (model) => model.updateStep(run, step, status, worker),
      async ({ store }) =>
        void (await store.updateStepExecution(run, step, { status }, { workerId: worker })),
    ),
);

const settle = fc.tuple(runId, stepId, stepId, workerId).map(
  ([run, step, next, worker]) =>
    new Step(
      `${worker} settles ${step} of ${run}, and ${next} follows`,
      (model) => model.settle(run, step, next, worker),
      ({ store }) =>
        store.batch(
          (write) => {
            write.updateStepExecution(run, step, { status: "COMPLETED" });
            write.createStepExecution({ runId: run, stepId: next });
            write.updateRun(run, { progress: 0.5 });
          },
          { fence: { runId: run, workerId: worker } },
        ),
    ),
);

const wait = fc.constantFrom(1, 100, 1000).map(
  (ms) =>
    new Step(
      `${ms} ms go by`,
      () => undefined,
      async ({ clock }) => clock.advance(ms),
    ),
);

export const commands = fc.commands(
  [create, create, claim, claim, extend, release, update, reopen, remove].concat(
    pause,
    resume,
    resume,
    createStep,
    createStep,
    updateStep,
    updateStep,
    updateStep,
    settle,
    settle,
    wait,
  ),
  { maxCommands: 60, size: "max" },
);
