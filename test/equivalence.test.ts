import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workflowPauses, workflowRuns } from "../src/schema/tables.ts";
import { LibSQLStore } from "../src/stores/libsql/libsql-store.ts";
import type { OpenOptions } from "../src/stores/libsql/open-options.ts";
import { MemoryStore } from "../src/stores/memory/memory-store.ts";
import { TestClock } from "../src/testing/test-clock.ts";
import {
  attempt,
  changeOfEndedStep,
  sequences,
  type Memory,
  type Operation,
} from "./equivalence/operations.ts";
import { seeded } from "./support/seed.ts";
import { startSqld, type Sqld } from "./support/sqld.ts";
import { temporaryFolder, type TemporaryFolder } from "./support/temporary.ts";

const sequencesPerBackend = Number(process.env["EQUIVALENCE_RUNS"] ?? 1000);

const reached = new Set<string>();

function noteErrors(outcome: unknown): void {
  const codes = JSON.stringify(outcome, (_, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  ).matchAll(/"code":"([A-Z_]+)"/g);
  for (const [, code] of codes) if (code !== undefined) reached.add(code);
}

/** Where the other store keeps its rows. A server takes milliseconds for what memory does in microseconds. */
const places = [
  { kind: "in memory", sequencesHere: sequencesPerBackend },
  { kind: "on a file", sequencesHere: sequencesPerBackend },
  { kind: "over HTTP", sequencesHere: Math.ceil(sequencesPerBackend / 25) },
  { kind: "over WebSocket", sequencesHere: Math.ceil(sequencesPerBackend / 25) },
  { kind: "on an embedded replica", sequencesHere: Math.ceil(sequencesPerBackend / 25) },
] as const;

describe.each(places)("MemoryStore and LibSQLStore $kind", ({ kind, sequencesHere }) => {
  const clock = new TestClock();
  let folder: TemporaryFolder;
  let server: Sqld | null = null;
  let libsql: LibSQLStore;
  beforeAll(async () => {
    folder = await temporaryFolder();
    libsql = await LibSQLStore.open({
      ...(await locate()),
      clock: clock.now,
    });
  });
  afterAll(async () => {
    await libsql.close();
    await server?.stop();
    await folder.remove();
  });

  async function locate(): Promise<OpenOptions> {
    if (kind === "in memory") return { url: ":memory:" };
    if (kind === "on a file") return { url: folder.database(), durability: "normal" };
    server = await startSqld();
    if (kind === "over HTTP") return { url: server.httpUrl };
    if (kind === "over WebSocket") return { url: server.webSocketUrl };
    return { url: folder.database(), syncUrl: server.httpUrl };
  }

  async function compare(operations: readonly Operation[]): Promise<void> {
    await libsql.db.delete(workflowRuns);
    await libsql.db.delete(workflowPauses);
    const memory = new MemoryStore({ clock: clock.now });
    const memories: [Memory, Memory] = [
      { cursor: null, prevCursor: null, bundleCursor: null },
      { cursor: null, prevCursor: null, bundleCursor: null },
    ];
    const done: string[] = [];
    const checkSame = (words: string, ours: unknown, theirs: unknown): void => {
      if (isDeepStrictEqual(ours, theirs)) return;
      const history = [...done, `${words} differs`].join("\n");
      expect(ours, history).toStrictEqual(theirs);
      throw new Error(`${history}: the answers differ in something that no assertion shows`);
    };
    for (const operation of operations) {
      clock.advance(operation.advanceMs);
      const [inMemory, inLibsql] = [
        await attempt(() => operation.run(memory, memories[0])),
        await attempt(() => operation.run(libsql, memories[1])),
      ];
      noteErrors(inMemory);
      checkSame(operation.words, inMemory, inLibsql);
      done.push(operation.words);
    }
    checkSame("everything", await memory.readBundles(), await libsql.readBundles());
    checkSame("pauses", await memory.listPausedWorkflows(), await libsql.listPausedWorkflows());
    checkSame("the list", await memory.listRuns(), await libsql.listRuns());
  }

  test("answer every sequence of operations alike", async () => {
    await fc.assert(fc.asyncProperty(sequences, compare), {
      numRuns: sequencesHere,
      endOnFailure: false,
      examples: [[changeOfEndedStep]],
      ...seeded,
    });
  });
});

// A few sequences may miss some of them.
if (sequencesPerBackend >= 1000) {
  test("the sequences reach the errors of the contract", () => {
    expect([...reached].toSorted()).toEqual(
      expect.arrayContaining([
        "INVALID_ARGUMENT",
        "INVALID_VALUE",
        "LEASE_LOST",
        "REVISION_CONFLICT",
        "RUN_ALREADY_EXISTS",
        "RUN_NOT_FOUND",
        "RUN_TRANSITION",
        "STATE_NOT_FOUND",
        "STEP_EXECUTION_ALREADY_EXISTS",
        "STEP_EXECUTION_NOT_FOUND",
        "STEP_OUTPUT_NOT_FOUND",
        "STEP_TRANSITION",
      ]),
    );
  });
}
