import { expect, test } from "vitest";
import { sqldBinary } from "./sqld.ts";

test("a platform without the server fails the tests that need it, and says which package is missing", () => {
  expect(() => sqldBinary("win32", "x64")).toThrow(/@sqld\/win32-x64 is not installed/);
});
