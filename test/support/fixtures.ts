import { test as base } from "vitest";
import { startSqld } from "./sqld.ts";
import { temporaryFolder } from "./temporary.ts";

/**
 * Vitest's `test` with what most tests need. A test or a hook that destructures a fixture gets it; vitest creates it
 * on first use and removes it.
 *
 * - `folder`: a new folder for each test.
 * - `sharedFolder`: one folder for all tests of a file, also in `test.beforeAll`.
 * - `server`: one libSQL server for all tests of a file, also in `test.beforeAll`. It starts in 65 ms. A test that
 *   kills its server or gives it options calls `startSqld` instead.
 */
export const test = base
  // Vitest reads the names of the fixtures from the parameter, which has to be destructured.
  // oxlint-disable-next-line no-empty-pattern
  .extend("sharedFolder", { scope: "file" }, async ({}, { onCleanup }) => {
    const folder = await temporaryFolder();
    onCleanup(() => folder.remove());
    return folder;
  })
  // oxlint-disable-next-line no-empty-pattern
  .extend("server", { scope: "file" }, async ({}, { onCleanup }) => {
    const server = await startSqld();
    onCleanup(() => server.stop());
    return server;
  })
  // oxlint-disable-next-line no-empty-pattern
  .extend("folder", async ({}, { onCleanup }) => {
    const folder = await temporaryFolder();
    onCleanup(() => folder.remove());
    return folder;
  });
