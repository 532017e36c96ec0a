import { expect, test } from "vitest";
import type { GorkflowError } from "../../errors.ts";
import type { NewWorkflowRun, WorkflowRun, WorkflowRunSummary } from "../../schema/rows.ts";
import type { StoreStats } from "../../store/maintenance.ts";
import type { RunPage } from "../../store/runs.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { TestClock } from "../test-clock.ts";

/** The optional parts of the contract that a store supports. */
export interface StoreCapabilities {
  /** True if `transaction` works. Otherwise it must reject with `UnsupportedError`. Defaults to true. */
  readonly transactions?: boolean | undefined;
  /** True if the store has the methods of `HostTransactions`. Defaults to false. */
  readonly hostTransactions?: boolean | undefined;
  /**
   * The bytes that a row can have, if the database limits it. A value that makes a row larger must be rejected with
   * `InvalidValueError`. Defaults to any.
   */
  readonly maxRowBytes?: number | undefined;
}

export interface OpenedStore {
  readonly store: WorkflowStore;
  /** Called after the store was closed, to delete its files. */
  dispose(): Promise<void>;
}

export interface ConformanceOptions {
  /** The name of the store in the test report. */
  readonly name: string;
  /** Returns an empty store whose times come from `clock`. Called for each test. */
  open(environment: { readonly clock: () => Date }): Promise<WorkflowStore | OpenedStore>;
  readonly capabilities?: StoreCapabilities | undefined;
}

interface TestEnvironment {
  readonly store: WorkflowStore;
  readonly clock: TestClock;
}

export type StoreTest = (
  name: string,
  run: (environment: TestEnvironment) => Promise<void>,
) => void;

/** A `test` that opens a store, and closes it also if the test fails. */
export function storeTest({ open }: ConformanceOptions): StoreTest {
  return (name, run) => {
    test(name, async () => {
      const clock = new TestClock();
      const opened = await open({ clock: clock.now });
      const { store, dispose } = "store" in opened ? opened : { store: opened, dispose: null };
      try {
        await run({ store, clock });
      } finally {
        await store.close();
        await dispose?.();
      }
    });
  };
}

/** Passes if the promise rejects with an error of this code and these properties. */
export async function rejects(
  promise: Promise<unknown>,
  code: GorkflowError["code"],
  properties: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const outcome = await promise.then(
    () => ({ code: "none: it resolved" }),
    (error: unknown) => error,
  );
  expect(outcome).toMatchObject({ code, ...properties });
}

export async function rejectsArgument(promise: Promise<unknown>, argument: string): Promise<void> {
  await rejects(promise, "INVALID_ARGUMENT", { argument });
}

export async function rejectsValue(promise: Promise<unknown>, path: string): Promise<void> {
  await rejects(promise, "INVALID_VALUE", { path });
}

let created = 0;

/** The argument of `createRun` for a run of the workflow `orders`, with these columns. */
export function newRun(values: Partial<NewWorkflowRun> = {}): NewWorkflowRun {
  created += 1;
  return { runId: `run-${String(created).padStart(6, "0")}`, workflowId: "orders", ...values };
}

/** Creates a run. */
export function givenRun(
  store: WorkflowStore,
  values: Partial<NewWorkflowRun> = {},
): Promise<WorkflowRun> {
  return store.createRun(newRun(values));
}

/** The run without its payloads. */
export function summaryOf(run: WorkflowRun): WorkflowRunSummary {
  const { input: _input, output: _output, context: _context, ...summary } = run;
  return summary;
}

/** The `rows` of `stats` for this number of runs, and of rows in each other table. */
export function rowCounts(workflowRuns: number, others = 0): StoreStats["rows"] {
  return {
    workflowRuns,
    stepExecutions: others,
    stepAttempts: others,
    stepOutputs: others,
    workflowState: others,
  };
}

export function idsOf(runs: readonly WorkflowRunSummary[]): string[] {
  return runs.map(({ runId }) => runId);
}

/** The ids of all runs that a query finds, page by page. */
export async function listAll(
  store: WorkflowStore,
  query: NonNullable<Parameters<WorkflowStore["listRuns"]>[0]> = {},
): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: RunPage<WorkflowRunSummary> = await store.listRuns({
      ...query,
      payloads: false,
      cursor,
    });
    ids.push(...idsOf(page.runs));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}
