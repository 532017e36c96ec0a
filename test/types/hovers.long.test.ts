import { join } from "node:path";
import { expect, test } from "vitest";
// The TypeScript that we compile with has no language service for programs.
import ts from "../../scripts/api-docs/node_modules/typescript/lib/typescript.js";

const root = join(import.meta.dirname, "../..");
const program = join(import.meta.dirname, "programs/common-names.ts");

interface Hover {
  readonly type: string;
  readonly documentation: string;
}

/** What an editor shows for each marked name of the program. */
function readHovers(): readonly Hover[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), (path) =>
    ts.sys.readFile(path),
  );
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [program],
    getScriptVersion: () => "1",
    getScriptSnapshot: (path) => {
      const text = ts.sys.readFile(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
    fileExists: (path) => ts.sys.fileExists(path),
    readFile: (path) => ts.sys.readFile(path),
    directoryExists: (path) => ts.sys.directoryExists(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
  });
  const text = ts.sys.readFile(program) ?? "";
  return [...text.matchAll(/▸\*\/[\s.]*/g)].map(({ index, 0: mark }) => {
    const info = service.getQuickInfoAtPosition(program, index + mark.length);
    const tags = (info?.tags ?? []).map(
      (tag) => `@${tag.name} ${ts.displayPartsToString(tag.text)}`,
    );
    return {
      type: ts.displayPartsToString(info?.displayParts),
      documentation: [ts.displayPartsToString(info?.documentation), ...tags].join("\n"),
    };
  });
}

// After a change of a type: npx vitest run test/types/hovers --project long -u
test("what an editor shows for common names fits on a screen, and the types are as recorded", async () => {
  const hovers = readHovers();
  expect(hovers.length).toBeGreaterThanOrEqual(20);
  for (const { type, documentation } of hovers) {
    expect(type).not.toBe("");
    // As an editor wraps them.
    const lines = `${type}\n${documentation}`
      .split("\n")
      .flatMap((line) => line.match(/.{1,100}/g) ?? [""]);
    expect(lines.length, type).toBeLessThanOrEqual(30);
  }
  const types = hovers.map(({ type }) => type).join("\n\n");
  await expect(`${types}\n`).toMatchFileSnapshot("hovers.txt");
});
