// Bundles of an app run with nothing beside them but the native package of libsql.
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runIn } from "../packaging/support/packed-project.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { expectedAnswers } from "./app/app.ts";
import {
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
  /** The configuration, and the lines that docs/platforms.md shows. */
  readonly files?: Readonly<Record<string, string>>;
  readonly build: readonly string[];
  /** The file that runs. */
  readonly output: string;
}

const bundlers: Readonly<Record<string, Bundler>> = {
  "esbuild as CommonJS": {
    build: [
      "esbuild",
      "main.js",
      "open.js",
      "--bundle",
      "--platform=node",
      "--format=cjs",
      "--external:libsql",
      "--out-extension:.js=.cjs",
      "--outdir=out/esbuild-cjs",
    ],
    output: "esbuild-cjs/main.cjs",
  },
  "esbuild as a module": {
    build: [
      "esbuild",
      "main.js",
      "open.js",
      "--bundle",
      "--platform=node",
      "--format=esm",
      "--splitting",
      "--external:libsql",
      "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      "--out-extension:.js=.mjs",
      "--outdir=out/esbuild",
    ],
    output: "esbuild/main.mjs",
  },
  "Vite for SSR": {
    files: {
      "vite.config.js": `
        import { defineConfig } from "vite";
        export default defineConfig({
          build: {
            ssr: true,
            outDir: "out/vite",
            rollupOptions: { input: ["main.js", "open.js"], output: { entryFileNames: "[name].mjs" } },
          },
          ssr: { noExternal: true, external: ["libsql"] },
        });`,
    },
    build: ["vite", "build"],
    output: "vite/main.mjs",
  },
  webpack: {
    files: {
      "webpack.config.js": `
        export default {
          mode: "production",
          target: "node20",
          entry: { main: "./main.js", open: "./open.js" },
          externals: { libsql: "node-commonjs libsql", "libsql/promise": "node-commonjs libsql/promise" },
          output: { path: import.meta.dirname + "/out/webpack", filename: "[name].cjs" },
        };`,
    },
    build: ["webpack"],
    output: "webpack/main.cjs",
  },
  Rollup: {
    files: {
      "rollup.config.js": `
        import commonjs from "@rollup/plugin-commonjs";
        import json from "@rollup/plugin-json";
        import { nodeResolve } from "@rollup/plugin-node-resolve";
        export default {
          input: ["main.js", "open.js"],
          external: [/^libsql/, /^node:/],
          plugins: [nodeResolve({ exportConditions: ["node"], preferBuiltins: true }), commonjs(), json()],
          output: { dir: "out/rollup", format: "es", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" },
        };`,
    },
    build: ["rollup", "--config"],
    output: "rollup/main.mjs",
  },
  tsup: {
    files: {
      "tsup.config.js": `
        export default { entry: ["main.js", "open.js"], format: "esm", outDir: "out/tsup", platform: "node", target: "node20",
          noExternal: [/^(?!libsql)/], external: [/^libsql/], shims: true,
          banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" } };`,
    },
    build: ["tsup"],
    output: "tsup/main.js",
  },
};

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  let project: PlatformProject;
  beforeAll(async () => {
    project = await makePlatformProject(version, { packages });
    await project.compile(["app", "main", "open"]);
  });
  afterAll(() => project?.remove());
  const command = (name: string) => join(project.path, "node_modules/.bin", name);

  describe.each(Object.entries(bundlers))("%s", (_, { files = {}, build, output }) => {
    beforeAll(async () => {
      await project.write(files);
      const [program = "", ...options] = build;
      await project.run(command(program), options);
    });

    test("makes a bundle that runs beside the native package alone", async () => {
      const shipped = await temporaryFolder();
      await cp(join(project.path, "out"), shipped.path, { recursive: true });
      for (const name of ["libsql", "@libsql", "@neon-rs", "detect-libc"]) {
        const from = join(project.path, "node_modules", name);
        await cp(from, join(shipped.path, "node_modules", name), { recursive: true });
      }
      await mkdir(join(shipped.path, "data"));
      const answer = await runIn(shipped.path)(process.execPath, [output, "data"]);
      expect(JSON.parse(answer)).toEqual(expectedAnswers);
      await shipped.remove();
    });

    test("without the native package, the error says what to do", async () => {
      const shipped = await temporaryFolder();
      await cp(join(project.path, "out"), shipped.path, { recursive: true });
      const opener = output.replace("main", "open");
      expect(await runIn(shipped.path)(process.execPath, [opener, "."])).toMatch(
        /^UnsupportedError: .*native package of libsql.*beside the bundle/,
      );
      await shipped.remove();
    });
  });

  test("Vite runs an app from its sources in development", async () => {
    await project.write({
      "dev.js": `
        import { createServer } from "vite";
        const server = await createServer({ server: { middlewareMode: true }, appType: "custom" });
        const { useEverything } = await server.ssrLoadModule("/app.js");
        console.log(JSON.stringify(await useEverything("out")));
        await server.close();`,
    });
    expect(JSON.parse(await project.run(process.execPath, ["dev.js"]))).toEqual(expectedAnswers);
  });

  test("Jest runs an app as ES modules", async () => {
    await project.write({
      "jest.config.js": 'export default { testEnvironment: "node", transform: {} };',
      "app.test.js": `
        import { expectedAnswers, useEverything } from "./app.js";
        test("the app", async () => {
          expect(await useEverything("out")).toEqual(expectedAnswers);
        });`,
    });
    await project.run(command("jest"), ["--ci"], {
      env: { NODE_OPTIONS: "--experimental-vm-modules" },
    });
  });
});
