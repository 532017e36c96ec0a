import { expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { InvalidArgumentError } from "../../src/errors.ts";

const fine = { id: "s", input: z.number(), output: z.number(), run: (value: number) => value };

test("defaults to no retries, no time limit, and no continueOnError", () => {
  const step = defineStep(fine);
  expect(step.retry).toEqual({ maxRetries: 0, delayMs: 1000, backoff: "constant" });
  expect(step).toMatchObject({ timeoutMs: null, continueOnError: false });
  expect(step).toMatchObject({ name: null, description: null });
});

test("keeps the given parts of a retry policy", () => {
  const step = defineStep({ ...fine, retry: { maxRetries: 3, backoff: "exponential" } });
  expect(step.retry).toEqual({ maxRetries: 3, delayMs: 1000, backoff: "exponential" });
});

test("has a name and a description for people", () => {
  const labels = { name: "Charge the card", description: "Calls the bank." };
  expect(defineStep({ ...fine, ...labels })).toMatchObject(labels);
});

test.each([
  ["step.id", { ...fine, id: "" }],
  ["step.id", { ...fine, id: "a\0b" }],
  ["step.input", { ...fine, input: { type: "number" } }],
  ["step.output", { ...fine, output: undefined }],
  ["step.run", { ...fine, run: "later" }],
  ["step.timeoutMs", { ...fine, timeoutMs: 0 }],
  ["step.timeoutMs", { ...fine, timeoutMs: 2 ** 31 }],
  ["step.retry.maxRetries", { ...fine, retry: { maxRetries: -1 } }],
  ["step.retry.backoff", { ...fine, retry: { backoff: "random" } }],
  ["step.name", { ...fine, name: "" }],
  ["step.description", { ...fine, description: 1 }],
  ["step.retry.jitter", { ...fine, retry: { jitter: true } }],
  ["step.retries", { ...fine, retries: 3 }],
])("refuses a wrong %s", (argument, options) => {
  // A caller without a type checker may pass this.
  const define = (): unknown => defineStep(options as unknown as typeof fine);
  expect(define).toThrow(InvalidArgumentError);
  expect(define).toThrow(expect.objectContaining({ argument }));
});
