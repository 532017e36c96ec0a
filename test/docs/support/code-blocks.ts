import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../../..");

export interface CodeBlock {
  /** The page, and the line of the block. */
  readonly name: string;
  readonly language: string;
  /**
   * The word after the language: `run` for a program, `conformance` for a test file, `file` for a module that later
   * blocks import; empty for a sample.
   */
  readonly purpose: string;
  /** The file name of the block in the folder of its page. */
  readonly file: string;
  readonly code: string;
}

export interface Page {
  readonly file: string;
  readonly blocks: readonly CodeBlock[];
}

/** The README and the pages of docs, without the generated ones. */
export async function readPages(): Promise<Page[]> {
  const docs = (await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md"));
  const files = ["README.md", ...docs.toSorted().map((name) => `docs/${name}`)];
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(root, file), "utf8");
      return { file, blocks: readBlocks(file, text) };
    }),
  );
}

export function readBlocks(page: string, text: string): CodeBlock[] {
  return [...text.matchAll(/^```(\w+) ?(\w*) ?(\S*)\n([^]*?)^```$/gm)].map(
    ({ index, 1: language = "", 2: purpose = "", 3: file = "", 4: code = "" }) => {
      const line = text.slice(0, index).split("\n").length;
      return {
        name: `${page}:${line}`,
        language,
        purpose,
        file: file || `line-${line}${purpose === "conformance" ? ".suite" : ""}.${language}`,
        code,
      };
    },
  );
}
