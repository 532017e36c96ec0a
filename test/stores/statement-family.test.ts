import { expect, test } from "vitest";
import { statementFamily, type Statement } from "../../src/stores/sqlite/statements/statement.ts";

test("a family keeps the shapes that were used last, and compiles each of them once", () => {
  const compiled: number[] = [];
  const family = statementFamily(String, (shape: number) => {
    compiled.push(shape);
    return {} as Statement<string>;
  });
  for (let shape = 0; shape < 500; shape++) family(shape);
  family(0);
  family(500);
  compiled.length = 0;
  family(0);
  expect(compiled).toEqual([]);
  family(1);
  expect(compiled).toEqual([1]);
});
