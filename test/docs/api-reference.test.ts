import { execFile } from "node:child_process";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../support/temporary.ts";

const root = join(import.meta.dirname, "../..");
const committed = join(root, "docs/api");

async function makeFolder(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => folder.remove());
  return join(folder.path, "api");
}

/** The pages that are not the same in both folders. */
async function differingPages(first: string, second: string): Promise<string[]> {
  const names = new Set([...(await readdir(first)), ...(await readdir(second))]);
  const read = (folder: string, name: string) =>
    readFile(join(folder, name), "utf8").catch(() => null);
  const pages = await Promise.all(
    [...names].map(async (name) => ({
      name,
      same: (await read(first, name)) === (await read(second, name)),
    })),
  );
  return pages.flatMap(({ name, same }) => (same ? [] : [name])).toSorted();
}

test("the API reference is what the docstrings say now: `npm run docs:api` writes it", async () => {
  const folder = await makeFolder();
  await promisify(execFile)("npm", ["run", "docs:api", "--", folder], { cwd: root });
  expect(await differingPages(committed, folder)).toEqual([]);
});

test("a page that was edited or that is missing is seen", async () => {
  const folder = await makeFolder();
  await cp(committed, folder, { recursive: true });
  expect(await differingPages(committed, folder)).toEqual([]);
  await writeFile(join(folder, "schema.md"), "Something else.\n");
  await rm(join(folder, "client.md"));
  expect(await differingPages(committed, folder)).toEqual(["client.md", "schema.md"]);
});
