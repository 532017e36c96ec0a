import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AppDatabase } from "../../src/drizzle-types.ts";
import { migrate } from "../../src/migrations/migrate.ts";
import type { WorkflowRunSummary } from "../../src/schema/rows.ts";
import type { RunPage } from "../../src/store/runs.ts";
import type { WorkflowStore } from "../../src/store/workflow-store.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { SQLiteStore } from "../../src/stores/sqlite/sqlite-store.ts";
import { TestClock } from "../../src/testing/test-clock.ts";
import { attempt, sequences, type Memory, type Operation } from "../equivalence/operations.ts";
import { longestHold } from "../support/event-loop.ts";
import { seeded } from "../support/seed.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** The number of random sequences of each way. */
const sequenceCount = 100;

/**
 * The writes that take effect in the order of their calls. A batch and a restart are repeated behind later calls if a
 * precondition does not hold. Reads may overtake writes, and bulk changes read. So does a write that returns an input which
 * consists of outputs.
 */
const isOrdered = ({ words }: Operation): boolean =>
  !words.includes('"inputFrom":[') &&
  /^(?:createRun|updateRun|deleteRun|createStep|updateStep|save|deleteState|reopenRun\(|claim|extend|release|pause|resume|transaction)/.test(
    words,
  );

/** How the operations of a sequence are issued. */
const ways: Readonly<
  Record<string, (list: readonly Operation[], clock: TestClock, run: Run) => Promise<void>>
> = {
  async "one after the other, with a clock that also goes back"(list, clock, run) {
    for (const [index, operation] of list.entries()) {
      clock.advance(index % 3 === 2 ? -2 * operation.advanceMs : operation.advanceMs);
      await run([operation]);
    }
  },
  async "all at once"(list, clock, run) {
    clock.advance(1000);
    await run(list.filter(isOrdered));
  },
};

type Run = (operations: readonly Operation[]) => Promise<void>;

const newMemory = (): Memory => ({ cursor: null, prevCursor: null, bundleCursor: null });

function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}

interface Connection {
  readonly client: { exec(sql: string): unknown; close(): unknown };
  readonly db: AppDatabase;
  /** Makes a function of the app that SQL can call. Undefined if the library has none. */
  readonly defineFunction?: (name: string, work: () => unknown) => unknown;
  /** False if the library ends the process when it reads text that is not UTF-8. Defaults to true. */
  readonly replacesBrokenText?: boolean;
}

/** Declares the tests of what a store needs from a synchronous library, beyond the contract. */
export function describeSyncDriver(
  name: string,
  connect: (file: string, journalMode: "wal" | "delete") => Promise<Connection>,
) {
  async function inDatabase(
    work: (connection: Connection, connectAgain: () => Promise<Connection>) => Promise<void>,
    journalMode: "wal" | "delete" = "wal",
  ) {
    const folder = await temporaryFolder();
    const connections: Connection[] = [];
    const connectAgain = async () => {
      const connection = await connect(`${folder.path}/app.db`, journalMode);
      connections.push(connection);
      return connection;
    };
    try {
      const first = await connectAgain();
      await migrate(first.db);
      await work(first, connectAgain);
    } finally {
      for (const { client } of connections) {
        try {
          client.close();
        } catch {
          // The test has closed it.
        }
      }
      await folder.remove();
    }
  }

  describe(`SQLiteStore on ${name}`, () => {
    test("is closed when the app has closed its database", async () => {
      await inDatabase(async ({ client, db }, connectAgain) => {
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        await store.getRun("r");
        client.close();
        const other = await connectAgain();
        other.client.close();
        for (const call of [
          () => store.getRun("r"),
          () => store.getRun("r"),
          () => store.readBundles(),
          () => store.createRun({ workflowId: "w" }),
          () => store.transaction((tx) => tx.getRun("r")),
          () => new SQLiteStore(db).getRun("r"),
          () => new SQLiteStore(other.db).getRun("r"),
        ]) {
          await expect(call()).rejects.toMatchObject({ code: "STORE_CLOSED" });
        }
      });
    });

    test("has nested transactions whose writes change different numbers of rows", async () => {
      await inDatabase(async ({ db }) => {
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        await store.transaction(async (tx) => {
          await tx.transaction(async (nested) => {
            await expect(nested.saveState("missing", "k", 1)).rejects.toMatchObject({
              code: "RUN_NOT_FOUND",
            });
            await nested.saveState("r", "k", 1);
          });
          await tx.batch((write) => ["a", "b"].forEach((key) => write.saveState("r", key, 1)));
        });
        expect(await store.getAllState("r")).toEqual({ a: 1, b: 1, k: 1 });
      });
    });

    test.each(Object.keys(ways))(
      "answers as MemoryStore does, %s",
      async (way) => {
        await inDatabase(async ({ client, db }) => {
          const clock = new TestClock();
          const store = new SQLiteStore(db, { clock: clock.now });
          const compare = async (list: readonly Operation[]) => {
            client.exec("delete from workflow_runs; delete from workflow_pauses");
            const memory = new MemoryStore({ clock: clock.now });
            const memories = new Map<WorkflowStore, Memory>([
              [store, newMemory()],
              [memory, newMemory()],
            ]);
            const answers = (of: WorkflowStore, operations: readonly Operation[]) =>
              Promise.all(
                operations.map((each) =>
                  attempt(() => each.run(of, memories.get(of) ?? newMemory())),
                ),
              );
            await ways[way]?.(list, clock, async (operations) =>
              same(await answers(store, operations), await answers(memory, operations)),
            );
            same(await store.readBundles(), await memory.readBundles());
            same(await store.listRuns(), await memory.listRuns());
          };
          await fc.assert(fc.asyncProperty(sequences, compare), {
            numRuns: sequenceCount,
            ...seeded,
          });
        });
      },
      120_000,
    );

    test("does not block the event loop without a write-ahead log", async () => {
      await inDatabase(async ({ client, db }, connectAgain) => {
        client.exec("pragma busy_timeout = 5000");
        const second = await connectAgain();
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        const held = await longestHold(async () => {
          second.client.exec("begin exclusive");
          const reads = [store.getRun("r"), store.readBundles()];
          setTimeout(() => second.client.exec("commit"), 200);
          await Promise.all(reads);
          // A transaction that has read delays the commits of others.
          second.client.exec("begin; create temp table app_seen as select * from workflow_runs");
          const write = store.updateRun("r", { progress: 0.5 });
          setTimeout(() => second.client.exec("commit"), 200);
          await write;
        });
        // A blocked loop would be held for 5 seconds.
        expect(held).toBeLessThan(2500);
      }, "delete");
    });

    test("names text that is not UTF-8 as corrupt, and reads all other rows", async () => {
      await inDatabase(async ({ client, db, replacesBrokenText = true }) => {
        if (!replacesBrokenText) return;
        const store = new SQLiteStore(db);
        const good = { workflowId: "w", resourceId: "\uFFFD", input: ["\uFFFD", null, 1.5] };
        for (const runId of ["a", "b", "c"]) await store.createRun({ ...good, runId });
        await store.saveState("b", "k", "\uFFFD");
        await store.saveState("c", "k", 1);
        client.exec("update workflow_state set value = cast(x'22ff22' as text) where run_id = 'c'");
        for (const column of ["input", "error", "tags", "resource_id"]) {
          client.exec(
            `update workflow_runs set ${column} = cast(x'22ff22' as text) where run_id = 'a'`,
          );
          const error = { code: "CORRUPT_ROW", column };
          await expect(store.getRun("a")).rejects.toMatchObject(error);
          await expect(store.transaction((tx) => tx.getRun("a"))).rejects.toMatchObject(error);
          const { runs, corrupt } = await store.listRuns({ payloads: true });
          expect(runs).toMatchObject([
            { ...good, runId: "c" },
            { ...good, runId: "b" },
          ]);
          expect(corrupt).toMatchObject([error]);
          client.exec(`update workflow_runs set ${column} = null where run_id = 'a'`);
        }
        expect(await store.getAllState("b")).toEqual({ k: "\uFFFD" });
        const { bundles, corrupt } = await store.readBundles();
        expect(bundles.map(({ run }) => run.runId)).toEqual(["a", "b"]);
        expect(corrupt).toMatchObject([{ code: "CORRUPT_ROW", column: "value" }]);
        client.exec(
          "update workflow_runs set created_at = 1, run_id = iif(run_id = 'a', cast(x'62ff' as text), run_id)",
        );
        const seen: string[] = [];
        let cursor: string | null = null;
        for (let pages = 0; pages < 3; pages++) {
          const page: RunPage<WorkflowRunSummary> = await store.listRuns({ limit: 1, cursor });
          seen.push(...page.runs.map(({ runId }) => runId));
          seen.push(...page.corrupt.map(({ key }) => key["run_id"] ?? ""));
          cursor = page.nextCursor;
        }
        expect([seen, cursor]).toEqual([["c", "b\uFFFD", "b"], null]);
      });
    });

    test("rejects for good if a function of the app throws in a trigger", async () => {
      await inDatabase(async ({ client, db, defineFunction }) => {
        if (defineFunction === undefined) return;
        const failure = Object.assign(new Error("mine"), { status: 503, code: "ECONNRESET" });
        defineFunction("app_check", () => {
          throw failure;
        });
        client.exec(
          "create trigger app_checks before update on workflow_runs begin select app_check(); end",
        );
        const store = new SQLiteStore(db);
        await store.createRun({ runId: "r", workflowId: "w" });
        const others = [store.saveState("r", "k", 1), store.saveState("r", "l", 1)];
        await expect(store.updateRun("r", { progress: 0.5 })).rejects.toMatchObject({
          code: "STORE_CONNECTION",
          outcome: "none",
          retryable: false,
        });
        await Promise.all(others);
        expect(await store.getAllState("r")).toEqual({ k: 1, l: 1 });
      });
    });
  });
}
