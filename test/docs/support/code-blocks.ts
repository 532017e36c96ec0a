import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../../..");

export interface CodeBlock {
  /** The page and the line on which the block begins. */
  readonly name: string;
  readonly language: string;
  /**
   * What the block is, after its language: `run` for a program, `conformance` for a test, `file` for a module that
   * the blocks after it import; empty for a sample.
   */
  readonly purpose: string;
  /** What the block is called in the folder of its page. */
  readonly file: string;
  readonly code: string;
}

export interface Page {
  readonly file: string;
  readonly blocks: readonly CodeBlock[];
}

/** The pages that people write for users: the README and everything in docs/ but what is generated. */
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
