import { execFile } from "node:child_process";
import { appendFile, cp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/temporary.ts";

const root = join(import.meta.dirname, "../..");
const parts = ["src", "test", "scripts", "examples", "package.json", "knip.json", "tsconfig.json"];
const configs = ["drizzle.config.ts", "vitest.config.ts", "tsconfig.build.json"];

test("knip finds an unused file, export and dependency", async () => {
  const folder = await temporaryFolder();
  try {
    for (const part of [...parts, ...configs]) {
      await cp(join(root, part), join(folder.path, part), {
        recursive: true,
        filter: (path) => !path.includes("node_modules"),
      });
    }
    await symlink(join(root, "node_modules"), join(folder.path, "node_modules"));
    await writeFile(join(folder.path, "src/model/planted-file.ts"), "export const planted = 1;\n");
    await appendFile(
      join(folder.path, "src/model/backoff.ts"),
      "\nexport const plantedExport = 1;\n",
    );
    const manifest = join(folder.path, "package.json");
    const text = await readFile(manifest, "utf8");
    const planted = text.replace('"dependencies": {', '$&\n    "planted-dependency": "1.0.0",');
    expect(planted).not.toBe(text);
    await writeFile(manifest, planted);

    const knip = join(root, "node_modules/.bin/knip");
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      execFile(knip, { cwd: folder.path }, (error, out) =>
        resolve({ code: error?.code, output: out }),
      );
    });
    expect(code).toBe(1);
    expect(output).toMatch(/^Unused files \(1\)\nsrc\/model\/planted-file\.ts/m);
    expect(output).toMatch(/^Unused exports \(1\)\nplantedExport /m);
    expect(output).toMatch(/^Unused dependencies \(1\)\nplanted-dependency /m);
  } finally {
    await folder.remove();
  }
});
