import { DrizzleQueryError } from "drizzle-orm";
import { pino } from "pino";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { Engine } from "../../src/engine/engine.ts";
import {
  bindLogger,
  createConsoleLogger,
  silentLogger,
  type Logger,
} from "../../src/engine/observe/logger.ts";
import { defineWorkflow } from "../../src/engine/definition/workflow-builder.ts";
import { InvalidArgumentError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/stores/memory/memory-store.ts";
import { makeEngine, makeLogger, numberStep } from "./support/engines.ts";

/** A pino logger and the lines that it has written. */
function makePino(level: string) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as (typeof lines)[number]);
  return { logger: pino({ level, base: { app: "test" } }, { write }), lines };
}

const greeting = defineWorkflow({ id: "w" })
  .step(
    numberStep("s", (value, { logger }) => {
      logger.info({ own: value }, "hello");
      logger.child({ part: "inner" }).info({}, "deeper");
      return value;
    }),
  )
  .build();

test("with pino, steps log through children with their ids", async () => {
  const { logger, lines } = makePino("info");
  const { runId } = await makeEngine(new MemoryStore(), { logger }).run(greeting, 1);
  const ids = { app: "test", runId, stepId: "s", attempt: 1 };
  expect(lines).toMatchObject([
    { msg: "hello", own: 1, ...ids },
    { msg: "deeper", part: "inner", ...ids },
    { msg: "run ended here", runId, workflowId: "w", ending: "completed" },
  ]);
});

test("a pino child is created only for a step that logs", async () => {
  const { logger } = makePino("error");
  const children: object[] = [];
  const counted: Logger = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: () => {},
    child: (fields) => {
      children.push(fields);
      return logger.child(fields);
    },
  };
  const engine = makeEngine(new MemoryStore(), { logger: counted });
  const silent = defineWorkflow({ id: "silent" })
    .step(numberStep("s", (value) => value))
    .build();
  await engine.run(silent, 1);
  expect(children).toEqual([]);
  const { runId } = await engine.run(greeting, 1);
  expect(children).toEqual([{ runId, stepId: "s", attempt: 1 }]);
});

test("a logger without `child` gets the fields with each message", async () => {
  const logger = makeLogger();
  const { runId } = await makeEngine(new MemoryStore(), { logger }).run(greeting, 1);
  const ids = { runId, stepId: "s", attempt: 1 };
  expect(logger.reports).toContainEqual({
    level: "info",
    fields: { ...ids, part: "inner" },
    message: "deeper",
  });
  expect(logger.reports).toContainEqual({
    level: "info",
    fields: { ...ids, own: 1 },
    message: "hello",
  });
});

test("the console logger writes messages of its level with their fields", async () => {
  const written: unknown[] = [];
  for (const level of ["debug", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...args) => void written.push([level, ...args]));
  }
  onTestFinished(() => void vi.restoreAllMocks());
  const logger = createConsoleLogger();
  const { runId } = await makeEngine(new MemoryStore(), { logger }).run(greeting, 1);
  const ids = { runId, stepId: "s", attempt: 1 };
  expect(written).toEqual([
    ["info", "hello", { ...ids, own: 1 }],
    ["info", "deeper", { ...ids, part: "inner" }],
    ["info", "run ended here", { runId, workflowId: "w", ending: "completed" }],
  ]);
  createConsoleLogger({ level: "error" }).warn({}, "too low");
  expect(written).toHaveLength(3);
  const level = "loud" as "info";
  expect(() => createConsoleLogger({ level })).toThrow(InvalidArgumentError);
});

test("a logger that throws affects no run", async () => {
  const fail = (): never => {
    throw new Error("disk full");
  };
  const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail, child: fail };
  const run = await makeEngine(new MemoryStore(), { logger }).run(greeting, 1);
  expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
});

test("a logger that rejects affects neither the run nor the process", async () => {
  const fail = async (): Promise<void> => {
    await Promise.resolve();
    throw new Error("disk full");
  };
  const logger: Logger = { debug: fail, info: fail, warn: fail, error: fail };
  const run = await makeEngine(new MemoryStore(), { logger }).run(greeting, 1);
  expect(run).toMatchObject({ status: "COMPLETED", output: 1 });
  await new Promise((resolve) => setTimeout(resolve, 5));
});

describe("no log message contains a bound value of a failed query", () => {
  const queryError = () =>
    new DrizzleQueryError(
      "insert into cards values (?)",
      ["4111-1111"],
      new Error("no such table"),
    );

  test.each([
    ["thrown by a step", queryError],
    ["as the cause of what it throws", () => new Error("not paid", { cause: queryError() })],
  ])("%s", async (_, makeError) => {
    const { logger, lines } = makePino("debug");
    const workflow = defineWorkflow({ id: "w" })
      .step(
        defineStep({
          id: "pay",
          input: z.null(),
          output: z.null(),
          run: () => {
            throw makeError();
          },
        }),
      )
      .build();
    const run = await makeEngine(new MemoryStore(), { logger }).run(workflow, null);
    expect(run.status).toBe("FAILED");
    expect(lines).toContainEqual(expect.objectContaining({ msg: "step failed", stepId: "pay" }));
    const text = JSON.stringify(lines);
    expect(text).toContain("insert into cards values (?)");
    expect(text).toContain("logger.test.ts");
    expect(text).not.toContain("4111");
  });

  test("among the errors of an AggregateError", () => {
    const { logger, lines } = makePino("debug");
    bindLogger(logger).warn({ err: new AggregateError([queryError()], "all failed") }, "failed");
    expect(lines).toMatchObject([{ err: { message: "all failed" } }]);
    expect(JSON.stringify(lines)).not.toContain("4111");
  });

  test("other errors are logged unchanged", () => {
    const logger = makeLogger();
    const error = new Error("outer", { cause: new Error("inner") });
    bindLogger(logger).warn({ err: error, a: 1 }, "failed");
    expect(logger.reports[0]?.fields["err"]).toBe(error);
  });
});

test("the engine logs no input, output or state", async () => {
  const { logger, lines } = makePino("debug");
  const engine = makeEngine(new MemoryStore(), { logger });
  const workflow = defineWorkflow({ id: "w" })
    .step(
      defineStep({
        id: "s",
        input: z.string(),
        output: z.string(),
        retry: { maxRetries: 1, delayMs: 0 },
        run: async (input, { attempt, state }) => {
          await state.set("secret", "payload-state");
          if (attempt === 1) throw new Error("once");
          return `${input}-output`;
        },
      }),
    )
    .build();
  expect((await engine.run(workflow, "payload-input")).status).toBe("COMPLETED");
  expect(lines.map(({ msg }) => msg)).toEqual([
    "step failed and is tried again",
    "step completed",
    "run ended here",
  ]);
  expect(JSON.stringify(lines)).not.toContain("payload");
});

test("an invalid logger is rejected with the methods that it needs", () => {
  const broken = { debug() {}, info() {}, warn() {} } as unknown as Logger;
  expect(() => new Engine(new MemoryStore(), { logger: broken })).toThrow(InvalidArgumentError);
  expect(() => new Engine(new MemoryStore(), { logger: broken })).toThrow(
    /options\.logger.*debug, info, warn, error/,
  );
});

test("children of the silent logger are silent", () => {
  expect(silentLogger.child({ runId: "r" })).toBe(silentLogger);
});
