// Bundles of an app run with nothing beside them but the native package of libsql.
import { cp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runIn } from "../packaging/support/packed-project.ts";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { expectedAnswers } from "./app/app.ts";
import {
  documentedFile,
  drizzleVersions,
  makePlatformProject,
  type PlatformProject,
} from "./support/platform-project.ts";

const packages = {
  "@rollup/plugin-commonjs": "29",
  "@rollup/plugin-json": "6",
  "@rollup/plugin-node-resolve": "16",
  esbuild: "0.28",
  jest: "30",
  rollup: "4",
  tsup: "8",
  typescript: "5.9",
  vite: "8.3.8",
  webpack: "5",
  "webpack-cli": "6",
};

interface Bundler {
  /** Its configuration or command in docs/platforms.md. */
  readonly file: string;
  readonly build: readonly string[];
  /** The file that runs. */
  readonly output: string;
}

const bundlers: Readonly<Record<string, Bundler>> = {
  "esbuild as a module": { file: "esbuild.sh", build: ["sh", "esbuild.sh"], output: "main.mjs" },
  "esbuild as CommonJS": {
    file: "esbuild-cjs.sh",
    build: ["sh", "esbuild-cjs.sh"],
    output: "main.cjs",
  },
  "Vite for SSR": { file: "vite.config.js", build: ["npx", "vite", "build"], output: "main.js" },
  webpack: { file: "webpack.config.js", build: ["npx", "webpack"], output: "main.cjs" },
  Rollup: {
    file: "rollup.config.js",
    build: ["npx", "rollup", "--config"],
    output: "main.js",
  },
  tsup: { file: "tsup.config.js", build: ["npx", "tsup"], output: "main.js" },
};

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  let project: PlatformProject;
  beforeAll(async () => {
    project = await makePlatformProject(version, { packages });
    await project.compile(["app", "main"]);
  });
  afterAll(() => project?.remove());

  describe.each(Object.entries(bundlers))("%s", (_, { file, build, output }) => {
    let shipped: TemporaryFolder;
    beforeAll(async () => {
      await project.write({ [file]: await documentedFile(file) });
      await rm(join(project.path, "out"), { recursive: true, force: true });
      const [program = "", ...options] = build;
      await project.run(program, options);
      shipped = await temporaryFolder();
      await cp(join(project.path, "out"), join(shipped.path, "app"), { recursive: true });
      await writeFile(join(shipped.path, "app/package.json"), '{ "type": "module" }');
    });
    afterAll(() => shipped?.remove());
    const start = (...options: readonly string[]) =>
      runIn(shipped.path)(process.execPath, [join("app", output), ".", ...options]);

    test("makes a bundle whose error says what to do without the native package", async () => {
      // A bundler may rename the class.
      await expect(start("open")).rejects.toThrow(
        /UnsupportedError\]?: .*native package of libsql.*beside the bundle/,
      );
    });

    test("makes a bundle that runs beside the native package alone", async () => {
      for (const name of ["libsql", "@libsql", "@neon-rs", "detect-libc"]) {
        const from = join(project.path, "node_modules", name);
        await cp(from, join(shipped.path, "node_modules", name), { recursive: true });
      }
      await rm(join(shipped.path, "node_modules/@libsql/client"), { recursive: true });
      expect(JSON.parse(await start("open"))).toEqual({});
      expect(JSON.parse(await start())).toEqual(expectedAnswers);
    });
  });

  test("Vite runs an app from its sources in development", async () => {
    await project.write({
      "vite.config.js": await documentedFile("vite.config.js"),
      "dev.js": `
        import { createServer } from "vite";
        const server = await createServer({ root: ".", server: { middlewareMode: true }, appType: "custom" });
        const { useEverything } = await server.ssrLoadModule("/app.js");
        console.log(JSON.stringify(await useEverything(".")));
        await server.close();`,
    });
    expect(JSON.parse(await project.run(process.execPath, ["dev.js"]))).toEqual(expectedAnswers);
  });

  test("Jest runs an app as ES modules", async () => {
    await project.write({
      "jest.config.js": await documentedFile("jest.config.js"),
      "app.test.js": `
        import { expectedAnswers, useEverything } from "./app.js";
        test("the app", async () => {
          expect(await useEverything(".")).toEqual(expectedAnswers);
        });`,
    });
    await project.run("npx", ["jest", "--ci"], {
      env: { NODE_OPTIONS: "--experimental-vm-modules" },
    });
  });
});
