import { access, readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readPages, root } from "./support/code-blocks.ts";

interface Link {
  readonly file: string;
  readonly target: string;
  readonly anchor: string;
}

/** The relative links of a page. */
async function linksOf(file: string): Promise<Link[]> {
  const text = await readFile(join(root, file), "utf8");
  return [...text.matchAll(/\]\(([^):#]*)(?:#([^)]*))?\)/g)].map(
    ([, target = "", anchor = ""]) => ({
      file,
      target: target === "" ? file : join(dirname(file), target),
      anchor,
    }),
  );
}

/** The anchors of a page's headings, as GitHub makes them. */
async function anchorsOf(file: string): Promise<string[]> {
  const text = await readFile(join(root, file), "utf8");
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

const exists = (path: string) =>
  access(join(root, path)).then(
    () => true,
    () => false,
  );

async function isBroken({ target, anchor }: Link): Promise<boolean> {
  if (!(await exists(target))) return true;
  return anchor !== "" && !(await anchorsOf(target)).includes(anchor);
}

test("every link of a page leads to a file, and to a heading of it", async () => {
  const files = (await readPages()).map(({ file }) => file);
  const links = (await Promise.all(files.map(linksOf))).flat();
  expect(links.length).toBeGreaterThan(10);
  const broken = await Promise.all(
    links.map(async (link) => ((await isBroken(link)) ? [link] : [])),
  );
  expect(broken.flat()).toEqual([]);
});

test("the table of contents names every page, and the reference of every entry", async () => {
  const listed = new Set((await linksOf("docs/README.md")).map(({ target }) => target));
  const pages = (await readPages()).map(({ file }) => file);
  const reference = (await readdir(join(root, "docs/api"))).map((name) => `docs/api/${name}`);
  const missing = [...pages, ...reference].filter((page) => !listed.has(page));
  expect(missing).toEqual(["docs/README.md"]);
});
