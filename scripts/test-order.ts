import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The slowest files of each project, beginning with the slowest. In a clean clone Vitest does not know them, and sorts
 * by size: a slow file that begins last keeps one worker waiting for the other.
 */
const slowest = [
  "test/examples/drizzle-apps.long.test.ts",
  "test/studio/browser.long.test.ts",
  "test/company.test.ts",
  "test/packaging/drizzle-versions.long.test.ts",
  "test/packaging/packed-package.long.test.ts",
  "test/testing/planted-defects.long.test.ts",
  "test/transfer/copy.long.test.ts",
  "test/docs/code-blocks.long.test.ts",
  "test/docs/code-blocks.test.ts",
  "test/testing/libsql-http.test.ts",
  "test/network/lies.long.test.ts",
];

/** Begins with the slowest files. The projects stay in their order. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // A sequencer has no `toSorted`.
    // oxlint-disable-next-line unicorn/no-array-sort
    const sorted = await super.sort(files);
    const projects = [...new Set(sorted.map(({ project }) => project.name))];
    return projects.flatMap((name) =>
      sorted
        .filter(({ project }) => project.name === name)
        .toSorted((a, b) => this.#rank(a) - this.#rank(b)),
    );
  }

  #rank({ moduleId }: TestSpecification): number {
    const index = slowest.indexOf(relative(this.ctx.config.root, moduleId));
    return index === -1 ? slowest.length : index;
  }
}
