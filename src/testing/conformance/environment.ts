import { expect, test } from "vitest";
import type { GorkflowError } from "../../errors.ts";
import type { NewWorkflowRun, WorkflowRun, WorkflowRunSummary } from "../../schema/rows.ts";
import type { RunPage } from "../../store/runs.ts";
import type { WorkflowStore } from "../../store/workflow-store.ts";
import { TestClock } from "../test-clock.ts";

/** What a store promises beyond the contract's core. */
export interface StoreCapabilities {
  /**
   * `transaction` works. A store without it must refuse with `UnsupportedError`. True when absent.
   */
  readonly transactions?: boolean | undefined;
  /** The store can take part in its host's transactions: `withTransaction`, `hostTransaction`. */
  readonly hostTransactions?: boolean | undefined;
}

export interface OpenedStore {
  readonly store: WorkflowStore;
  /** Removes what the store left behind, after it was closed. */
  dispose(): Promise<void>;
}

export interface ConformanceOptions {
  /** Names the store in the report. */
  readonly name: string;
  /** Opens an empty store, which takes all its times from `clock`. Called once for each test. */
  open(environment: { readonly clock: () => Date }): Promise<WorkflowStore | OpenedStore>;
  readonly capabilities?: StoreCapabilities | undefined;
}

/** What one test works with. */
interface TestEnvironment {
  readonly store: WorkflowStore;
  readonly clock: TestClock;
}

export type StoreTest = (
  name: string,
  run: (environment: TestEnvironment) => Promise<void>,
) => void;

/** A `test` that opens a store for each case, and closes it whatever happens. */
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

/** Expects the rejection of `promise` with an error of this code and these properties. */
export async function expectRejection(
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

let made = 0;

/** A new run of the workflow `orders`; what the test names wins. */
export function newRun(values: Partial<NewWorkflowRun> = {}): NewWorkflowRun {
  made += 1;
  return { runId: `run-${String(made).padStart(6, "0")}`, workflowId: "orders", ...values };
}

/** A stored run. */
export function givenRun(
  store: WorkflowStore,
  values: Partial<NewWorkflowRun> = {},
): Promise<WorkflowRun> {
  return store.createRun(newRun(values));
}

/** Every run that a query finds, page by page. */
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
    ids.push(...page.runs.map((run) => run.runId));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ids;
}
