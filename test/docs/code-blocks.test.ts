import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startVitest } from "vitest/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const execute = promisify(execFile);

interface CodeBlock {
  readonly name: string;
  /** What the block is, after its language: `run` for a program, `conformance` for a test. */
  readonly purpose: string;
  readonly code: string;
}

async function readBlocks(file: string): Promise<CodeBlock[]> {
  const text = await readFile(join(root, file), "utf8");
  return [...text.matchAll(/^```ts ?(\w*)\n([^]*?)^```$/gm)].map(
    ([, purpose = "", code = ""], index) => ({
      name: `${file}-${index + 1}`,
      purpose,
      code,
    }),
  );
}

const blocks = await readBlocks("README.md");

/** Inside the project, so that its packages are found. */
let folder: string;
beforeAll(async () => {
  await mkdir(join(root, "test/docs/.blocks"), { recursive: true });
  folder = await mkdtemp(join(root, "test/docs/.blocks/run-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("every block of TypeScript says how it is executed", () => {
  expect(blocks.length).toBeGreaterThan(0);
  for (const { purpose } of blocks) expect(["run", "conformance"]).toContain(purpose);
});

describe("runs", () => {
  test.each(blocks.filter(({ purpose }) => purpose === "run"))("$name", async ({ name, code }) => {
    const path = join(folder, `${name}.ts`);
    await writeFile(path, code);
    const tsx = join(root, "node_modules/.bin/tsx");
    const { stderr } = await execute(tsx, ["--tsconfig", join(root, "tsconfig.json"), path], {
      cwd: folder,
    });
    expect(stderr).toBe("");
  });
});

test("the quickstart prints what it has calculated", async () => {
  const [quickstart] = blocks;
  const path = join(folder, "quickstart.ts");
  await writeFile(path, quickstart?.code ?? "");
  const tsx = join(root, "node_modules/.bin/tsx");
  const { stdout } = await execute(tsx, ["--tsconfig", join(root, "tsconfig.json"), path], {
    cwd: await mkdtemp(join(folder, "quickstart-")),
  });
  expect(stdout).toContain("COMPLETED the sum is 3");
  expect(stdout).toContain("step: 'announce'");
});

describe("passes", () => {
  test.each(blocks.filter(({ purpose }) => purpose === "conformance"))(
    "$name",
    async ({ name, code }) => {
      await writeFile(join(folder, `${name}.suite.ts`), code);
      const vitest = await startVitest("test", [], {
        root: folder,
        config: join(root, "vitest.config.ts"),
        include: [`${name}.suite.ts`],
        watch: false,
        reporters: [{}],
      });
      const results = vitest.state
        .getTestModules()
        .flatMap((module) => [...module.children.allTests()].map((each) => each.result().state));
      await vitest.close();
      expect(results.length).toBeGreaterThan(100);
      expect(new Set(results)).toEqual(new Set(["passed"]));
    },
  );
});
