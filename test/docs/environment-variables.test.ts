import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { environmentVariables } from "../../src/environment.ts";

/** The rows of the table of variables: name and meaning. */
function tableOf(page: string): (readonly [name: string, meaning: string])[] {
  return [...page.matchAll(/^\| `(GORKFLOW_\w+)` +\| (.*?) +\|$/gm)].map(
    ([, name = "", meaning = ""]) => [name, meaning],
  );
}

test("the README lists the variables that openStoreFromEnv reads, each with its meaning", async () => {
  expect(tableOf(await readFile("README.md", "utf8"))).toEqual(
    Object.values(environmentVariables).map(({ name, meaning }) => [name, meaning]),
  );
});
