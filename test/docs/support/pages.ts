import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  runBlock,
  runSuite,
  writeBlock,
  type Installation,
  type PageFolder,
} from "./block-runs.ts";
import type { Page } from "./code-blocks.ts";

/** True for a page of commands, each of which is a process. The README is part of `npm test` all the same. */
export function startsManyProcesses({ file, blocks }: Page): boolean {
  const hasCommands = blocks.some(
    ({ language, purpose }) => language === "sh" && purpose === "run",
  );
  return hasCommands && file !== "README.md";
}

/** Declares the tests that run the blocks of each page in order. */
export function describePages(pages: readonly Page[], installation: () => Installation): void {
  const executed = pages.filter(({ blocks }) =>
    blocks.some(({ purpose }) => !["", "platform"].includes(purpose)),
  );
  describe.each(executed)("$file", (page) => {
    const ofPurpose = (purpose: string) => page.blocks.filter((block) => block.purpose === purpose);

    let folder: PageFolder;
    beforeAll(async () => {
      folder = await installation().makePageFolder(page);
      await Promise.all(ofPurpose("file").map((block) => writeBlock(block, folder)));
    });
    afterAll(() => folder.remove());

    test.each(ofPurpose("run"))("$name runs", async (block) => {
      const { stderr } = await runBlock(block, folder);
      // Commands write progress to stderr.
      if (block.language !== "sh") expect(stderr).toBe("");
    });

    test.each(ofPurpose("conformance"))("$name passes", async (block) => {
      const outcomes = await runSuite(block, folder);
      expect(outcomes.length).toBeGreaterThan(100);
      expect(new Set(outcomes)).toEqual(new Set(["passed"]));
    });

    test("its programs leave nothing open, so that their process ends without an error", async () => {
      expect(await folder.end()).toBe(0);
    });
  });
}
