import { access, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readPages, root } from "./support/code-blocks.ts";

/** Where the relative links of a page lead, without their anchors. */
async function targetsOf(file: string): Promise<string[]> {
  const text = await readFile(join(root, file), "utf8");
  return [...text.matchAll(/\]\(([^):#]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) =>
    join(dirname(file), target),
  );
}

const exists = (path: string) =>
  access(join(root, path)).then(
    () => true,
    () => false,
  );

test("every link of a page leads somewhere", async () => {
  const files = (await readPages()).map(({ file }) => file);
  const links = await Promise.all(
    files.map(async (file) => (await targetsOf(file)).map((target) => ({ file, target }))),
  );
  expect(links.flat().length).toBeGreaterThan(10);
  const found = await Promise.all(
    links.flat().map(async (link) => ((await exists(link.target)) ? [] : [link])),
  );
  expect(found.flat()).toEqual([]);
});

test("the table of contents names every page, and the reference of every entry", async () => {
  const listed = await targetsOf("docs/README.md");
  const pages = (await readPages()).map(({ file }) => file);
  const reference = (await readdir(join(root, "docs/api"))).map((name) => `docs/api/${name}`);
  const missing = [...pages, ...reference].filter((page) => !listed.includes(page));
  expect(missing).toEqual(["docs/README.md"]);
});
