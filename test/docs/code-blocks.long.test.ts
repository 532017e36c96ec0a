import { afterAll, beforeAll, expect, test } from "vitest";
import { install, type Installation } from "./support/block-runs.ts";
import { readPages } from "./support/code-blocks.ts";
import { describePages, startsManyProcesses } from "./support/pages.ts";

let installation: Installation;
beforeAll(async () => {
  installation = await install();
});
afterAll(() => installation.remove());

const pages = (await readPages()).filter(startsManyProcesses);

test("pages with commands are found", () => {
  expect(pages.map(({ file }) => file)).toContain("docs/operations.md");
});

describePages(pages, () => installation);
