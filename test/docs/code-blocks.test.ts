import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { install, runBlock, type Installation, type PageFolder } from "./support/block-runs.ts";
import { readBlocks, readPages, root, type CodeBlock } from "./support/code-blocks.ts";
import { describePages, startsManyProcesses } from "./support/pages.ts";

const pages = await readPages();
const blocks = pages.flatMap((page) => page.blocks);

let installation: Installation;
beforeAll(async () => {
  installation = await install();
}, 180_000);
afterAll(() => installation.remove());

/** Blocks that are not executed here, by their beginning, and the check of each. */
const elsewhere: Readonly<Record<string, (code: string) => Promise<unknown>>> = {
  // CI runs the tests in a clean clone, and the demo has its own test.
  "npm ci": async (code) => {
    const { scripts } = await readPackage(".");
    const named = [...code.matchAll(/npm (?:run )?(\w+)$/gm)].map(([, name = ""]) => name);
    expect(named).toEqual(["demo", "test"]);
    for (const name of named) expect(scripts).toHaveProperty(name);
  },
  // A packaging test installs the packed package with the same packages.
  "npm install": async (code) => {
    const { name, peerDependencies = {}, peerDependenciesMeta = {} } = await readPackage(".");
    const needed = Object.keys(peerDependencies).filter((peer) => !(peer in peerDependenciesMeta));
    expect(code.trim().split(" ").slice(2).toSorted()).toEqual([...needed, name, "zod"].toSorted());
  },
  // diagrams.test.ts compares the diagrams with the schema and the transitions.
  erDiagram: async () => {},
  "stateDiagram-v2": async () => {},
  // drizzle-apps.long.test.ts runs the commands in an example.
  "# .github/workflows/migrations.yml": async (code) => expect(code).toContain("gorkflow check"),
  // sqlite-drivers.platform.ts runs it on a version of Node that has the module.
  'import { DatabaseSync } from "node:sqlite";': async () => {},
  // The scripts of an example.
  '"scripts": ': async (code) => {
    const { scripts } = JSON.parse(`{${code}}`) as PackageFile;
    expect((await readPackage("examples/app-generates")).scripts).toMatchObject(scripts);
  },
};

interface PackageFile {
  readonly name: string;
  readonly scripts: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, unknown>>;
}

async function readPackage(folder: string): Promise<PackageFile> {
  return JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")) as PackageFile;
}

test("every block is executed, or checked by another test", async () => {
  const unknown: string[] = [];
  for (const { name, purpose, code } of blocks) {
    // test/platforms uses the configurations of the page about platforms.
    if (["run", "file", "conformance", "platform"].includes(purpose)) continue;
    const known = Object.entries(elsewhere).find(([beginning]) => code.startsWith(beginning));
    if (known === undefined) unknown.push(name);
    else await known[1](code);
  }
  expect(unknown).toEqual([]);
});

describePages(
  pages.filter((page) => !startsManyProcesses(page)),
  () => installation,
);

/** Passes the blocks of a planted page and its folder to `use`. */
async function withPage<Result>(
  text: string,
  use: (blocks: readonly CodeBlock[], folder: PageFolder) => Promise<Result>,
): Promise<Result> {
  const page = { file: "planted.md", blocks: readBlocks("planted.md", text) };
  const folder = await installation.makePageFolder(page);
  try {
    return await use(page.blocks, folder);
  } finally {
    await folder.remove();
  }
}

describe("the compiler", () => {
  let complaints: readonly string[];
  beforeAll(async () => {
    const text = "Words.\n\n```ts run\nexport const n: number = 'planted';\n```\n";
    const planted = { file: "planted.md", blocks: readBlocks("planted.md", text) };
    complaints = await installation.typecheck([...pages, planted]);
  });

  test("finds no fault in any block of TypeScript", () => {
    expect(complaints.filter((line) => !line.includes("planted.md"))).toEqual([]);
  });

  test("finds the fault of a block that has one", () => {
    expect(complaints).toContainEqual(
      expect.stringMatching(/planted\.md\/line-3\.ts\(1,14\): error TS2322/),
    );
  });
});

test("the quickstart prints its result", async () => {
  const [quickstart] = pages[0]?.blocks.filter(({ purpose }) => purpose === "run") ?? [];
  const { stdout } = await withPage("", (_, folder) => runBlock(quickstart as CodeBlock, folder));
  expect(stdout).toContain("COMPLETED the sum is 3");
  expect(stdout).toContain("step: 'announce'");
});

describe("a program is seen to fail that", () => {
  test.each([
    ["throws", "throw new Error('planted');", /Error: planted/],
    ["imports what does not exist", 'import { absent } from "gorkflow"; absent();', /absent/],
    ["prints a warning", "console.warn('planted');", /planted/],
  ])("%s", async (_, code, complaint) => {
    await withPage(`\`\`\`ts run\n${code}\n\`\`\`\n`, async ([block], folder) => {
      expect((await runBlock(block as CodeBlock, folder)).stderr).toMatch(complaint);
    });
  });

  test("ends the process", async () => {
    await withPage("```ts run\nprocess.exit(0);\n```\n", async ([block], folder) => {
      await expect(runBlock(block as CodeBlock, folder)).rejects.toThrow(/ended with 0/);
    });
  });

  test.each([
    ["fails after its end", "setTimeout(() => { throw new Error('planted'); });", /Error: planted/],
    ["asks for another exit code", "process.exitCode = 3;", null],
  ])("%s", async (_, code, complaint) => {
    await withPage(`\`\`\`ts run\n${code}\n\`\`\`\n`, async ([block], folder) => {
      await runBlock(block as CodeBlock, folder);
      if (complaint === null) expect(await folder.end()).toBe(3);
      else await expect(folder.end()).rejects.toThrow(complaint);
    });
  });
});

describe("commands are seen to fail when", () => {
  test.each([
    ["one before the last fails", "false\ntrue"],
    ["one in a pipe fails", "false | true"],
    ["one does not exist", "gorkflow-absent --help"],
  ])("%s", async (_, code) => {
    await withPage(`\`\`\`sh run\n${code}\n\`\`\`\n`, async ([block], folder) => {
      await expect(runBlock(block as CodeBlock, folder)).rejects.toThrow(/Command failed/);
    });
  });
});

test("a block finds the files of earlier blocks, and a server at the address of the pages", async () => {
  const text = [
    "```sh run\necho from the first > note.txt\n```\n",
    '```ts run\nimport { readFileSync } from "node:fs";\n',
    'import { openStore } from "gorkflow";\n',
    'const store = await openStore("libsql://my-db.turso.io?authToken=secret");\n',
    'await store.createRun({ workflowId: "w" });\n',
    'console.log(readFileSync("note.txt", "utf8"), (await store.countRuns()).PENDING);\n',
    "await store.close();\n```\n",
  ].join("");
  const outputs = await withPage(text, async ([first, second], folder) => [
    await runBlock(first as CodeBlock, folder),
    await runBlock(second as CodeBlock, folder),
  ]);
  expect(outputs[1]).toEqual({ stdout: "from the first\n 1\n", stderr: "" });
});
