import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { compileCommandLine } from "../support/command-line.ts";

/** The names of the packages in a chunk and in the chunks that it imports at once. */
async function packagesAtOnce(chunk: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(chunk)) return new Set();
  seen.add(chunk);
  const code = await readFile(chunk, "utf8");
  const own = [...code.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)\//gm)];
  const packages = new Set(own.map(([, name = ""]) => name));
  for (const [, path = ""] of code.matchAll(/^(?:import|\}) (?:.*from )?"(\.[^"]+)";$/gm)) {
    for (const name of await packagesAtOnce(join(dirname(chunk), path), seen)) packages.add(name);
  }
  return packages;
}

test("--version and --help load commander, and neither zod nor Drizzle", async () => {
  const packages = await packagesAtOnce(await compileCommandLine());
  expect(packages).toContain("commander");
  expect(packages).not.toContain("zod");
  expect(packages).not.toContain("drizzle-orm");
});
