// The package as each package manager installs it.
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder, type TemporaryFolder } from "../support/temporary.ts";
import { expectedAnswers } from "./app/app.ts";
import {
  drizzleVersions,
  makePlatformProject,
  type PlatformProject,
} from "./support/platform-project.ts";

const packages = ["pnpm@10", "@yarnpkg/cli-dist@4", "@oven/bun-linux-x64@1"];

let tools: TemporaryFolder;
let registry: string;
beforeAll(async () => {
  tools = await temporaryFolder();
  const run = promisify(execFile);
  registry = (await run("npm", ["config", "get", "registry"])).stdout.trim();
  const options = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"];
  await run("npm", ["install", "--prefix", tools.path, ...options, ...packages]);
});
afterAll(() => tools?.remove());

const tool = (path: string) => join(tools.path, "node_modules", path);
const { execPath: node } = process;
const yarn = () => [node, tool("@yarnpkg/cli-dist/bin/yarn.js")];
const yarnFiles = (linker: string) => () => ({
  "yarn.lock": "",
  ".yarnrc.yml": JSON.stringify({
    nodeLinker: linker,
    npmRegistryServer: registry,
    globalFolder: join(tools.path, "yarn"),
    enableImmutableInstalls: false,
    enableTelemetry: false,
    enableScripts: false,
  }),
});

interface Installer {
  readonly files?: () => Readonly<Record<string, string>>;
  readonly install: () => readonly string[];
  /** What starts a program and the command; a Node and `node_modules` by default. */
  readonly start?: () => readonly string[];
}

const installers: Readonly<Record<string, Installer>> = {
  pnpm: { install: () => [node, tool("pnpm/bin/pnpm.cjs"), "install", "--ignore-scripts"] },
  "Yarn with node_modules": {
    files: yarnFiles("node-modules"),
    install: () => [...yarn(), "install"],
  },
  "Yarn with Plug'n'Play": {
    files: yarnFiles("pnp"),
    install: () => [...yarn(), "install"],
    start: yarn,
  },
  Bun: { install: () => [tool("@oven/bun-linux-x64/bin/bun"), "install", "--ignore-scripts"] },
};

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  describe.each(Object.entries(installers))("%s", (_, { files, install, start }) => {
    let project: PlatformProject;
    beforeAll(async () => {
      project = await makePlatformProject(version, { install: false });
      await project.compile(["app", "main"]);
      await project.write(files?.() ?? {});
      const [program = "", ...options] = install();
      await project.run(program, options);
    });
    afterAll(() => project?.remove());

    const run = (name: "node" | "gorkflow", ...options: readonly string[]) => {
      const inModules = name === "node" ? [node] : [join(project.path, "node_modules/.bin", name)];
      const [program = "", ...others] = start === undefined ? inModules : [...start(), name];
      return project.run(program, [...others, ...options]);
    };

    test("installs what an app needs to run", async () => {
      await mkdir(join(project.path, "databases"));
      expect(JSON.parse(await run("node", "main.js", "databases"))).toEqual(expectedAnswers);
    });

    test("installs a command that runs", async () => {
      await run("gorkflow", "migrate", "--database", "command.db");
      const report = await run("gorkflow", "doctor", "--json", "--database", "command.db");
      expect(JSON.parse(report)).toEqual({ healthy: true, findings: [] });
    });
  });
});
