import { expect, test } from "vitest";
import { z } from "zod";
import { defineStep } from "../../src/engine/definition/define-step.ts";
import { InvalidArgumentError } from "../../src/errors.ts";

const fine = { id: "s", input: z.number(), output: z.number(), run: (value: number) => value };

test("leaves open what is not given, for the defaults of a workflow", () => {
  const step = defineStep({ ...fine, retry: { maxRetries: 3 } });
  expect(step).toMatchObject({ name: null, description: null, retry: { maxRetries: 3 } });
  expect([step.timeoutMs, step.continueOnError]).toEqual([undefined, undefined]);
  expect(defineStep(fine).retry).toBeUndefined();
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
  ["step.retry.delayMs", { ...fine, retry: { backoff: "none", delayMs: 500 } }],
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
