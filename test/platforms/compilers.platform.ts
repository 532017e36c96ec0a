// Apps compile strictly with each version of TypeScript.
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { strictOptions } from "../packaging/support/packed-project.ts";
import {
  drizzleVersions,
  makePlatformProject,
  type PlatformProject,
} from "./support/platform-project.ts";

const versions = ["5.4", "5.5", "5.6", "5.7", "5.8", "5.9", "6.0", "7.0"];
const compilers = Object.fromEntries(
  versions.map((version) => [`typescript-${version}`, `npm:typescript@~${version}.0`]),
);
const sources = {
  "0.45": { folder: "consumer", files: ["app.ts", "mistakes.ts"] },
  "1.0": { folder: "consumer-1", files: ["app.ts"] },
};

describe.each(drizzleVersions)("an app on Drizzle %s", (drizzle) => {
  const { folder, files } = sources[drizzle];
  let project: PlatformProject;
  beforeAll(async () => {
    project = await makePlatformProject(drizzle, {
      packages: { ...compilers, "@types/node": "20" },
    });
    await cp(join(import.meta.dirname, "../packaging", folder), project.path, { recursive: true });
    await cp(join(import.meta.dirname, "app"), join(project.path, "cjs"), { recursive: true });
    await project.write({ "cjs/package.json": '{ "type": "commonjs" }' });
  });
  afterAll(() => project?.remove());

  describe.each(versions)("with TypeScript %s", (version) => {
    const compile = async (path: string, resolution: string, names: readonly string[]) => {
      const compilerOptions = {
        target: "es2022",
        lib: ["es2023"],
        ...strictOptions(resolution),
        noEmit: true,
      };
      const config = JSON.stringify({ compilerOptions, files: names });
      await project.write({ [join(path, "tsconfig.json")]: config });
      const tsc = `node_modules/typescript-${version}/bin/tsc`;
      await project.run(process.execPath, [tsc, "-p", path]);
    };

    test.each(["nodenext", "bundler"])("compiles with module resolution %s", async (resolution) => {
      await compile(".", resolution, files);
    });

    test("compiles as CommonJS", async () => {
      await compile("cjs", "nodenext", ["app.ts", "main.ts"]);
    });
  });
});
