import { execFile } from "node:child_process";
import { appendFile, cp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { rowCodecs } from "../../src/schema/row-codecs.ts";
import { root } from "./support/code-blocks.ts";

const committed = join(root, "docs/api");

let folder: TemporaryFolder;
let generated: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  generated = join(folder.path, "api");
  const tsx = join(root, "node_modules/.bin/tsx");
  await promisify(execFile)(tsx, [join(root, "scripts/generate-api-docs.ts"), generated]);
}, 120_000);
afterAll(() => folder.remove());

/** The pages that differ between the folders. */
async function differences(one: string, other: string): Promise<string[]> {
  const pages = new Set([...(await readdir(one)), ...(await readdir(other))]);
  const read = (path: string) => readFile(path, "utf8").catch(() => null);
  const different = await Promise.all(
    [...pages].map(async (page) =>
      (await read(join(one, page))) === (await read(join(other, page))) ? [] : [page],
    ),
  );
  return different.flat().toSorted();
}

test("docs/api matches the docstrings; `npm run docs:api` writes it", async () => {
  expect(await differences(generated, committed)).toEqual([]);
});

test("a changed page and a missing one are found", async () => {
  const copy = join(folder.path, "copy");
  await cp(committed, copy, { recursive: true });
  await appendFile(join(copy, "client.md"), "\nplanted\n");
  await rm(join(copy, "reports.md"));
  expect(await differences(generated, copy)).toEqual(["client.md", "reports.md"]);
});

test("every entry has a page, and it has the errors of the contract", async () => {
  const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
    exports: Record<string, unknown>;
  };
  const pages = Object.keys(exports)
    .filter((entry) => entry !== "./package.json")
    .map((entry) => (entry === "." ? "README.md" : `${entry.slice(2)}.md`));
  expect(await readdir(generated)).toEqual(expect.arrayContaining(pages));
  const contract = await readFile(join(generated, "README.md"), "utf8");
  expect(contract).toMatch(
    /^- `RevisionConflictError` if the run is not at `expectedRevision`\.\n- `RunTransitionError` /m,
  );
  expect(contract).toMatch(
    /\*\*getRun\*\*\(.*\): `Promise`\\<\[`RunOf`\]\(#runof\)\\<\[`WorkflowJson`\]/,
  );
});

test("a type that is inferred from a table is documented with its columns", async () => {
  const pages = await Promise.all(
    ["README.md", "schema.md"].map((page) => readFile(join(generated, page), "utf8")),
  );
  const reference = pages.join("\n");
  expect(reference).not.toMatch(/\$infer(Select|Insert)/);
  for (const [name, codec] of Object.entries({
    WorkflowRun: rowCodecs.run,
    StepOutput: rowCodecs.outputs,
  })) {
    const [, section = ""] = reference.split(`> **${name}** = `);
    const columns = /\| -+ \| -+ \|\n((?:\|.*\n)+)/.exec(section)?.[1]?.match(/`\w+` \| /g) ?? [];
    expect(new Set(columns.map((column) => column.slice(1, -4)))).toEqual(
      new Set(codec.properties),
    );
  }
});
