import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The folder for programs that tests compile. */
    compiledPrograms: string;
  }
}

/** Creates the folder for the programs that tests compile; it is inside the project, so that they find its packages. */
// Vitest takes the default export.
// oxlint-disable-next-line import/no-default-export
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const root = join(import.meta.dirname, "../..");
  const folder = join(root, `node_modules/.cache/gorkflow-test-${process.pid}`);
  await mkdir(folder, { recursive: true });
  project.provide("compiledPrograms", folder);
  return () => rm(folder, { recursive: true, force: true });
}
