import { onTestFinished } from "vitest";
import { z } from "zod";
import { defineStep } from "../../../src/engine/definition/define-step.ts";
import { Engine } from "../../../src/engine/engine.ts";
import type { EngineOptions } from "../../../src/engine/engine-options.ts";
import type { Logger } from "../../../src/engine/observe/logger.ts";
import type { StepContext } from "../../../src/engine/definition/step-definition.ts";
import type { WorkflowStore } from "../../../src/store/workflow-store.ts";

/** An engine that is closed when the test has ended, without waiting for steps that hang. */
export function makeEngine(store: WorkflowStore, options?: EngineOptions): Engine {
  const engine = new Engine(store, options);
  onTestFinished(() => engine.close({ deadlineMs: 0 }));
  return engine;
}

/** A step with a number as input and output. */
export const numberStep = <const Id extends string>(
  id: Id,
  run: (value: number, ctx: StepContext) => number | Promise<number>,
) => defineStep({ id, input: z.number(), output: z.number(), run });

/** A promise and the function that resolves it. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
}

const nothing = (): void => {};

export function makeGate<T = void>(): Gate<T> {
  let open: Gate<T>["open"] = nothing;
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

/** A clock that moves only by `advance`. */
export function makeClock(): { (): Date; advance: (ms: number) => void } {
  let now = Date.UTC(2030, 0, 1);
  return Object.assign(() => new Date(now), {
    advance: (ms: number) => {
      now += ms;
    },
  });
}

export interface Report {
  readonly level: keyof Logger;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** A logger that keeps its messages. */
export function makeLogger(): Logger & { readonly reports: Report[] } {
  const reports: Report[] = [];
  const keep =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      reports.push({ level, fields: { ...fields }, message });
    };
  return {
    reports,
    debug: keep("debug"),
    info: keep("info"),
    warn: keep("warn"),
    error: keep("error"),
  };
}
