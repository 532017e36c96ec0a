// The parts of vitest that the conformance suite uses, for a runtime in which vitest does not run.
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState,
} from "@vitest/expect";
import * as chai from "chai";

interface Case {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export const cases: Case[] = [];
let path: readonly string[] = [];

export function describe(name: string, declare: () => void): void {
  const outer = path;
  path = [...outer, name];
  declare();
  path = outer;
}

export function test(name: string, run: () => Promise<void>): void {
  cases.push({ name: [...path, name].join(" > "), run });
}

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect as unknown as object,
);
setState({ assertionCalls: 0 }, expect as never);
Object.assign(expect, (globalThis as never)[ASYMMETRIC_MATCHERS_OBJECT]);
