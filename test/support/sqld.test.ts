import { expect, test } from "vitest";
import { sqldBinary } from "./sqld.ts";

test("a platform without a server binary is an error that names the missing package", () => {
  expect(() => sqldBinary("win32", "x64")).toThrow(/@sqld\/win32-x64 is not installed/);
});
