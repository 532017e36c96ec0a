import fc from "fast-check";
import type { RunBundle } from "../../src/model/bundles.ts";
import type { BatchWriter } from "../../src/store/batches.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { runStatuses, stepStatuses } from "../../src/statuses.ts";

/** What a sequence remembers while it runs on one store. */
export interface Memory {
  /** The last cursor that a list gave. */
  cursor: string | null;
  prevCursor: string | null;
  bundleCursor: string | null;
}

/** One operation, as words (for the report of a failure) and as something to do. */
export interface Operation {
  readonly words: string;
  /** Time that passes before it. */
  readonly advanceMs: number;
  run(store: WorkflowStore, memory: Memory): Promise<unknown>;
}

/** A write that a batch may hold. */
interface Write {
  readonly words: string;
  note(writer: BatchWriter): void;
}

const runId = fc.constantFrom("r1", "r2", "r3", "é漢🎉");
const workflowId = fc.constantFrom("w1", "w2");
const stepId = fc.constantFrom("s1", "s2", "s3");
const key = fc.constantFrom("k1", "k2", "__proto__");
const workerId = fc.constantFrom("a", "b");
const status = fc.constantFrom(...runStatuses);
const stepStatus = fc.constantFrom(...stepStatuses);
const time = fc.integer({ min: 0, max: 20 }).map((n) => new Date(Date.UTC(2026, 0, 1) + n * 500));
const json = fc.oneof(
  { weight: 8, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc.dictionary(
        fc.constantFrom("$gorkflow.bytes", "$$gorkflow.bytes", "a"),
        fc.oneof(fc.constant("AAAA"), fc.uint8Array({ maxLength: 4 })),
      ),
    ),
  },
  // JSON cannot carry these: both stores must refuse them, by the same path.
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      NaN,
      undefined,
      new Date(0),
      { a: [1, Infinity] },
      -0,
      1n,
      "x".repeat(200_000),
      { deep: { list: [new Map()] } },
    ),
  },
);
const tags = fc.option(
  fc.dictionary(fc.constantFrom("t1", "$gorkflow.bytes"), fc.constantFrom("x", "y")),
);
const badId = fc.constantFrom<unknown>("", "a\0b", "\ud800", "x".repeat(256), 5, undefined, null);

const sometimes = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.option(arbitrary, { nil: undefined, freq: 3 });
const rarely = <T>(arbitrary: fc.Arbitrary<T>, bad: fc.Arbitrary<unknown>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 30, arbitrary }, { weight: 1, arbitrary: bad }) as fc.Arbitrary<T>;

/** Leaves out what is undefined now and then: absent and undefined are the same. */
const record = <T extends object>(shape: { [Key in keyof T]: fc.Arbitrary<T[Key]> }) =>
  fc.record(shape, { noNullPrototype: true });

const claimAttempt = fc.integer({ min: 0, max: 3 });
const options = record({
  workerId: sometimes(workerId),
  attempt: sometimes(claimAttempt),
});
const expectedRevision = record({
  expectedRevision: sometimes(rarely(fc.integer({ min: 0, max: 4 }), fc.constant(-1))),
});
const revisionOptions = record({
  workerId: sometimes(workerId),
  attempt: sometimes(claimAttempt),
  expectedRevision: sometimes(rarely(fc.integer({ min: 0, max: 4 }), fc.constant(-1))),
});

const newRun = record({
  // A run without an id gets one at random.
  runId: rarely(
    runId,
    badId.filter((id) => id !== undefined),
  ),
  workflowId: rarely(workflowId, badId),
  status: sometimes(rarely(status, fc.constant("DONE"))),
  progress: sometimes(rarely(fc.constantFrom(0, 0.5, 1), fc.constantFrom<unknown>(2, "1"))),
  input: sometimes(json),
  context: sometimes(json),
  tags: sometimes(rarely(tags, fc.constant({ t1: 5 }))),
  resourceId: sometimes(fc.constantFrom("x", "y")),
  idempotencyKey: sometimes(fc.constantFrom("i1", "i2")),
  createdAt: sometimes(rarely(time, fc.constant(new Date(NaN)))),
  wakeAt: sometimes(rarely(fc.option(time), fc.constant(0))),
  deadlineAt: sometimes(fc.option(time)),
  timeoutMs: sometimes(fc.option(fc.integer({ min: 1, max: 10_000 }))),
  lostLeases: sometimes(fc.integer({ min: 0, max: 3 })),
  stateRevision: sometimes(fc.integer({ min: 0, max: 3 })),
});
const runRevision = record({ runId, revision: fc.integer({ min: 1, max: 4 }) });
const takesKey = record({ takeKeyFrom: sometimes(runRevision) });
const runChanges = record({
  status: sometimes(rarely(status, fc.constant("DONE"))),
  progress: sometimes(rarely(fc.constantFrom(0, 0.25, 1), fc.constant(NaN))),
  output: sometimes(json),
  error: sometimes(json),
  tags: sometimes(tags),
  resourceId: sometimes(fc.option(fc.constantFrom("x", "y"))),
  startedAt: sometimes(fc.option(time)),
  completedAt: sometimes(fc.option(time)),
  workflowVersion: sometimes(fc.constantFrom("1", "2")),
  wakeAt: sometimes(fc.option(time)),
  deadlineAt: sometimes(fc.option(time)),
  timeoutMs: sometimes(fc.option(fc.integer({ min: 1, max: 10_000 }))),
  revision: rarely(fc.constant(undefined), fc.constant(7)),
  lostLeases: rarely(fc.constant(undefined), fc.constant(7)),
  stateRevision: rarely(fc.constant(undefined), fc.constant(7)),
});
const newStep = record({
  runId,
  stepId: rarely(stepId, badId),
  executionIndex: sometimes(fc.integer({ min: 0, max: 2 })),
  status: sometimes(rarely(stepStatus, fc.constant("DONE"))),
  input: sometimes(json),
  inputFrom: sometimes(
    rarely(
      fc.oneof(fc.constant(null), stepId, fc.array(stepId, { minLength: 1, maxLength: 3 })),
      fc.constantFrom<unknown>(7, [], [7], ""),
    ),
  ),
  attempt: sometimes(fc.integer({ min: 0, max: 3 })),
  attemptOffset: sometimes(fc.integer({ min: 0, max: 3 })),
});
const newAttempt = record({
  runId,
  stepId: rarely(stepId, badId),
  attempt: rarely(fc.integer({ min: 0, max: 3 }), fc.constantFrom<unknown>(-1, undefined)),
  status: rarely(stepStatus, fc.constant("DONE")),
  error: sometimes(json),
  workerId: sometimes(fc.option(workerId)),
  startedAt: sometimes(fc.option(time)),
  completedAt: sometimes(fc.option(time)),
});
const stepChanges = record({
  status: sometimes(stepStatus),
  executionIndex: sometimes(fc.integer({ min: 0, max: 2 })),
  error: sometimes(json),
  attempt: sometimes(rarely(fc.integer({ min: 0, max: 3 }), fc.constant(-1))),
  sleepCount: sometimes(fc.integer({ min: 0, max: 3 })),
  wakeAt: sometimes(fc.option(time)),
  startedAt: sometimes(fc.option(time)),
  completedAt: sometimes(fc.option(time)),
});
const filter = {
  workflowId: sometimes(workflowId),
  status: sometimes(
    rarely<unknown>(fc.oneof(status, fc.array(status, { maxLength: 3 })), fc.constant("DONE")),
  ),
  resourceId: sometimes(fc.constantFrom("x", "y")),
  tags: sometimes(
    fc.dictionary(fc.constantFrom("t1", "$gorkflow.bytes"), fc.constantFrom("x", "y")),
  ),
  createdAfter: sometimes(time),
  createdBefore: sometimes(time),
};
const limit = sometimes(rarely(fc.integer({ min: 1, max: 3 }), fc.constantFrom(0, 1001, 1.5)));

const words = (name: string, ...args: unknown[]): string =>
  `${name}(${args.map((arg) => fc.stringify(arg)).join(", ")})`;

/** An operation with its arguments, whatever their types: some are wrong on purpose. */
function operation<Args extends unknown[]>(
  name: string,
  args: fc.Arbitrary<Args>,
  run: (store: WorkflowStore, args: never, memory: Memory) => Promise<unknown>,
): fc.Arbitrary<Omit<Operation, "advanceMs">> {
  return args.map((given) => ({
    words: words(name, ...given),
    run: (store, memory) => run(store, given as never, memory),
  }));
}

/** The same for a write, which can be an operation of its own or a part of a batch. */
const writes: fc.Arbitrary<
  Write & { readonly method: keyof BatchWriter; readonly args: unknown[] }
> = fc
  .oneof(
    fc.tuple(fc.constant("createRun" as const), fc.tuple(newRun, sometimes(takesKey))),
    fc.tuple(
      fc.constant("updateRun" as const),
      fc.tuple(runId, runChanges, sometimes(revisionOptions)),
    ),
    fc.tuple(
      fc.constant("updateRun" as const),
      fc.tuple(runId, runChanges, sometimes(revisionOptions)),
    ),
    fc.tuple(fc.constant("deleteRun" as const), fc.tuple(runId, sometimes(expectedRevision))),
    fc.tuple(fc.constant("createStepExecution" as const), fc.tuple(newStep)),
    fc.tuple(
      fc.constant("updateStepExecution" as const),
      fc.tuple(runId, stepId, stepChanges, sometimes(options)),
    ),
    fc.tuple(fc.constant("saveStepAttempt" as const), fc.tuple(newAttempt, sometimes(options))),
    fc.tuple(
      fc.constant("saveStepOutput" as const),
      fc.tuple(runId, stepId, json, sometimes(options)),
    ),
    fc.tuple(
      fc.constant("saveState" as const),
      fc.tuple(runId, key, json, sometimes(revisionOptions)),
    ),
    fc.tuple(fc.constant("deleteState" as const), fc.tuple(runId, key, sometimes(options))),
  )
  .map(([method, args]) => ({
    method,
    args,
    words: words(method, ...args),
    note: (writer) => Reflect.apply(writer[method], writer, args),
  }));

const single: fc.Arbitrary<Omit<Operation, "advanceMs">> = writes.map((write) => ({
  words: write.words,
  run: (store) => Reflect.apply(store[write.method], store, write.args) as Promise<unknown>,
}));

const reads = fc.oneof(
  operation("getRun", fc.tuple(rarely(runId, badId)), (store, [id]: [string]) => store.getRun(id)),
  operation("findRun", fc.tuple(rarely(runId, badId)), async (store, [id]: [string]) => [
    await store.findRun(id),
    await store.findRun(id, { payloads: false }),
  ]),
  operation(
    "getRuns",
    fc.tuple(fc.array(rarely(runId, badId), { maxLength: 4 }), sometimes(fc.boolean())),
    (store, [ids, payloads]: [string[], boolean]) => store.getRuns(ids, { payloads }),
  ),
  operation("findStepExecution", fc.tuple(runId, stepId), (store, [run, step]: [string, string]) =>
    store.findStepExecution(run, step),
  ),
  operation("findStepOutput", fc.tuple(runId, stepId), (store, [run, step]: [string, string]) =>
    store.findStepOutput(run, step),
  ),
  operation("findState", fc.tuple(runId, key), (store, [run, name]: [string, string]) =>
    store.findState(run, name),
  ),
  operation("stepSummaries", fc.tuple(runId), (store, [run]: [string]) =>
    store.listStepExecutions(run, { payloads: false }),
  ),
  operation(
    "reopenRun",
    fc.tuple(runId, sometimes(expectedRevision)),
    (store, [id, given]: [string, object]) => store.reopenRun(id, given),
  ),
  operation(
    "reopenRun from a step",
    fc.tuple(runId, rarely(stepId, badId), sometimes(expectedRevision)),
    (store, [id, fromStep, given]: [string, string, object]) =>
      store.reopenRun(id, { ...given, fromStep }),
  ),
  operation(
    "listRuns",
    fc.tuple(
      record({
        ...filter,
        limit,
        payloads: sometimes(fc.boolean()),
      }),
      rarely(
        fc.constantFrom<"first" | "next" | "prev">("first", "next", "prev"),
        fc.constantFrom("nonsense", "e30"),
      ),
    ),
    async (store, [query, from]: [object, string], memory) => {
      const known = { first: null, next: memory.cursor, prev: memory.prevCursor };
      const cursor = from in known ? known[from as keyof typeof known] : from;
      const page = await store.listRuns({ ...query, cursor });
      memory.cursor = page.nextCursor;
      memory.prevCursor = page.prevCursor;
      return page;
    },
  ),
  operation("countRuns", fc.tuple(sometimes(record(filter))), (store, [query]: [object]) =>
    store.countRuns(query),
  ),
  operation("getStepExecution", fc.tuple(runId, stepId), (store, [run, step]: [string, string]) =>
    store.getStepExecution(run, step),
  ),
  operation("listStepExecutions", fc.tuple(runId), (store, [run]: [string]) =>
    store.listStepExecutions(run),
  ),
  operation("listStepAttempts", fc.tuple(runId), (store, [run]: [string]) =>
    store.listStepAttempts(run),
  ),
  operation("loadStepOutput", fc.tuple(runId, stepId), (store, [run, step]: [string, string]) =>
    store.loadStepOutput(run, step),
  ),
  operation("loadStateEntry", fc.tuple(runId, key), (store, [run, name]: [string, string]) =>
    store.loadStateEntry(run, name),
  ),
  operation("loadState", fc.tuple(runId, key), (store, [run, name]: [string, string]) =>
    store.loadState(run, name),
  ),
  operation("getAllState", fc.tuple(runId), (store, [run]: [string]) => store.getAllState(run)),
  operation(
    "readBundles",
    fc.tuple(record({ filter: sometimes(record(filter)), limit }), fc.boolean()),
    async (store, [query, next]: [object, boolean], memory) => {
      const page = await store.readBundles({ ...query, cursor: next ? memory.bundleCursor : null });
      memory.bundleCursor = page.nextCursor;
      return page;
    },
  ),
  operation("stats", fc.constant([]), async (store) => {
    const { bytes: _, freeBytes: __, ...stats } = await store.stats();
    return stats;
  }),
);

const leases = fc.oneof(
  operation(
    "claimRuns",
    fc.tuple(
      record({
        workerId,
        leaseMs: rarely(fc.constantFrom(1000, 5000), fc.constantFrom(0, -1, 0.5, 1e13)),
        limit: fc.integer({ min: 1, max: 3 }),
        activeRunIds: sometimes(fc.array(runId, { maxLength: 2 })),
        workflows: sometimes(
          fc.array(
            record({
              workflowId,
              workflowVersion: rarely(fc.constantFrom("1", "2"), fc.constant(1)),
            }),
            { maxLength: 2 },
          ),
        ),
      }),
    ),
    (store, [claim]: [Parameters<WorkflowStore["claimRuns"]>[0]]) => store.claimRuns(claim),
  ),
  operation(
    "extendLease",
    fc.tuple(
      record({
        runId,
        workerId,
        attempt: sometimes(claimAttempt),
        leaseMs: rarely(fc.constantFrom(1000, 5000), fc.constantFrom(0, 1e13)),
      }),
    ),
    (store, [lease]: [Parameters<WorkflowStore["extendLease"]>[0]]) => store.extendLease(lease),
  ),
  operation(
    "releaseLease",
    fc.tuple(record({ runId, workerId, attempt: sometimes(claimAttempt) })),
    (store, [lease]: [Parameters<WorkflowStore["releaseLease"]>[0]]) => store.releaseLease(lease),
  ),
);

const pauses = fc.oneof(
  operation(
    "pauseWorkflow",
    fc.tuple(
      rarely(workflowId, badId),
      sometimes(
        record({
          pausedAt: sometimes(rarely(time, fc.constant(0))),
          reason: sometimes(rarely(fc.constantFrom("a", "é漢🎉"), badId)),
        }),
      ),
    ),
    (store, args: Parameters<WorkflowStore["pauseWorkflow"]>) => store.pauseWorkflow(...args),
  ),
  operation("resumeWorkflow", fc.tuple(rarely(workflowId, badId)), (store, [id]: [string]) =>
    store.resumeWorkflow(id),
  ),
  operation("listPausedWorkflows", fc.tuple(), (store) => store.listPausedWorkflows()),
);

const batch: fc.Arbitrary<Omit<Operation, "advanceMs">> = fc
  .tuple(
    fc.array(writes, { maxLength: 4 }),
    record({
      fence: sometimes(record({ runId, workerId })),
      expectedRevisions: sometimes(fc.array(runRevision, { maxLength: 2 })),
    }),
  )
  .map(([parts, demands]) => ({
    words: `batch([${parts.map((part) => part.words).join("; ")}], ${fc.stringify(demands)})`,
    run: (store) =>
      store.batch((writer) => {
        for (const part of parts) part.note(writer);
      }, demands),
  }));

const bulkChanges = fc.constantFrom("cancelRuns", "reopenRuns", "deleteRuns").chain((name) =>
  operation(
    name,
    fc.tuple(
      record(filter),
      sometimes(
        record({
          batchSize: sometimes(rarely(fc.integer({ min: 1, max: 2 }), fc.constant(0))),
          dryRun: sometimes(fc.boolean()),
        }),
      ),
    ),
    async (store, [query, given]: [object, object | undefined]) => {
      const batches: unknown[] = [];
      const onProgress = (progress: unknown) => batches.push(progress);
      return [await store[name](query, { ...given, onProgress }), batches];
    },
  ),
);

const maintenance = fc.oneof(
  bulkChanges,
  operation(
    "pruneRuns",
    fc.tuple(
      record({
        olderThan: time,
        statuses: sometimes(fc.array(status, { maxLength: 3 })),
        workflowId: sometimes(workflowId),
        keepLast: sometimes(fc.integer({ min: 0, max: 2 })),
        batchSize: sometimes(rarely(fc.integer({ min: 1, max: 2 }), fc.constant(0))),
        dryRun: sometimes(fc.boolean()),
      }),
    ),
    async (store, [policy]: [Parameters<WorkflowStore["pruneRuns"]>[0]]) => {
      const { freedBytes: _, deletedBytes: __, ...report } = await store.pruneRuns(policy);
      return report;
    },
  ),
  operation(
    "writeBundles",
    fc.tuple(
      fc.constantFrom("fail", "skip", "replace", "other"),
      fc.integer({ min: 1, max: 3 }),
      runId,
    ),
    async (store, [onConflict, count, renamed]: ["fail", number, string]) => {
      const { bundles } = await store.readBundles({ limit: count });
      const [first] = bundles;
      // One of them under another id: a new run, or a conflict.
      if (first !== undefined) bundles.push(renameRun(first, renamed));
      return store.writeBundles(bundles, { onConflict });
    },
  ),
);

function renameRun({ run, steps, attempts, outputs, state }: RunBundle, id: string): RunBundle {
  const rename = <Row extends { runId: string }>(row: Row): Row =>
    Object.assign(row, { runId: id });
  return {
    run: { ...rename(structuredClone(run)), idempotencyKey: null },
    steps: structuredClone(steps).map(rename),
    attempts: structuredClone(attempts).map(rename),
    outputs: structuredClone(outputs).map(rename),
    state: structuredClone(state).map(rename),
  };
}

const simple = fc.oneof(
  { weight: 6, arbitrary: single },
  { weight: 3, arbitrary: reads },
  { weight: 2, arbitrary: leases },
  { weight: 1, arbitrary: pauses },
  { weight: 2, arbitrary: batch },
  { weight: 1, arbitrary: maintenance },
);

/** Operations in a transaction that commits, or that fails at its end; and one nested in it. */
const transaction: fc.Arbitrary<Omit<Operation, "advanceMs">> = fc
  .tuple(
    fc.array(simple, { maxLength: 4 }),
    fc.boolean(),
    fc.option(fc.tuple(fc.array(simple, { maxLength: 3 }), fc.boolean())),
  )
  .map(([operations, commits, nested]) => ({
    words: `transaction(${commits ? "commits" : "fails"}: ${[
      ...operations.map((each) => each.words),
      ...(nested === null
        ? []
        : [
            `nested(${nested[1] ? "commits" : "fails"}: ${nested[0].map((each) => each.words).join("; ")})`,
          ]),
    ].join("; ")})`,
    run: async (store, memory) => {
      const answers: unknown[] = [];
      const outcomeOf = await attempt(() =>
        store.transaction(async (tx) => {
          for (const each of operations) answers.push(await attempt(() => each.run(tx, memory)));
          if (nested !== null) {
            const inner = tx.transaction(async (deeper) => {
              for (const each of nested[0])
                answers.push(await attempt(() => each.run(deeper, memory)));
              if (!nested[1]) throw new RangeError("nested fails");
            });
            answers.push(await attempt(() => inner));
          }
          if (!commits) throw new RangeError("fails");
          return "committed";
        }),
      );
      return [answers, outcomeOf];
    },
  }));

/** Most sequences begin with something that the operations can be about. */
const beginning: fc.Arbitrary<Omit<Operation, "advanceMs">[]> = fc
  .tuple(fc.constantFrom(0, 2, 3, 3), stepStatus)
  .map(([count, startStatus]) =>
    [
      {
        words: "createRun r1",
        run: (store: WorkflowStore) => store.createRun({ runId: "r1", workflowId: "w1" }),
      },
      {
        words: `createStepExecution r1 s1 ${startStatus}`,
        run: (store: WorkflowStore) =>
          store.createStepExecution({ runId: "r1", stepId: "s1", status: startStatus }),
      },
      {
        words: "createRun r2",
        run: (store: WorkflowStore) =>
          store.createRun({ runId: "r2", workflowId: "w2", tags: { t1: "x" } }),
      },
    ].slice(0, count),
  );

export const sequences: fc.Arbitrary<Operation[]> = fc
  .tuple(
    beginning,
    fc.array(
      fc.tuple(
        fc.oneof({ weight: 12, arbitrary: simple }, { weight: 1, arbitrary: transaction }),
        fc.constantFrom(0, 0, 10, 500, 3000),
      ),
      { minLength: 1, maxLength: 25 },
    ),
  )
  .map(([first, rest]) =>
    first
      .map(({ words: name, run }) => ({ words: name, run, advanceMs: 1 }))
      .concat(rest.map(([{ words: name, run }, advanceMs]) => ({ words: name, run, advanceMs }))),
  );

/** What came of it: the answer, or all that an error says. */
export async function attempt(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return { answer: await work() };
  } catch (error) {
    if (!(error instanceof Error)) return { thrown: error };
    const fields = Object.entries(error).filter(([name]) => name !== "cause" && name !== "stack");
    return { error: { message: error.message, ...Object.fromEntries(fields) } };
  }
}

/** A sequence that changes a step after its end, which random sequences seldom do. */
export const changeOfEndedStep: Operation[] = [
  {
    words: "createRun r1",
    advanceMs: 0,
    run: (store) => store.createRun({ runId: "r1", workflowId: "w1" }),
  },
  {
    words: "createStepExecution r1 s1 COMPLETED",
    advanceMs: 0,
    run: (store) => store.createStepExecution({ runId: "r1", stepId: "s1", status: "COMPLETED" }),
  },
  {
    words: "updateStepExecution r1 s1 RUNNING",
    advanceMs: 0,
    run: (store) => store.updateStepExecution("r1", "s1", { status: "RUNNING" }),
  },
];
