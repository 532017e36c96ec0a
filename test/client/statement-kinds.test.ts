import { expect, test } from "vitest";
import { keywordOf } from "../../src/client/statement-kinds.ts";

test.each([
  ["", ""],
  ["/* select", ""],
  ["(select 1)", ""],
  ["'select'", ""],
  ["/* with */ -- pragma\n ;; SELECT 1", "select"],
  ["values(1)", "values"],
  ["\uFEFFinsert into t values (1)", "insert"],
  ["/**/ ".repeat(2_500_000) + "delete from t", "delete"],
])("the keyword of a statement follows comments, blanks and semicolons, %#", (sql, keyword) => {
  expect(keywordOf(sql)).toBe(keyword);
});
