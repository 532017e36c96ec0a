import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { publint } from "publint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePackedProject, strictOptions, type PackedProject } from "./support/packed-project.ts";

const root = join(import.meta.dirname, "../..");

let project: PackedProject;
beforeAll(async () => {
  project = await makePackedProject();
  await cp(join(import.meta.dirname, "consumer"), project.path, { recursive: true });
  await cp(join(import.meta.dirname, "support/loaded-modules.mjs"), join(project.path, "look.mjs"));
}, 180_000);
afterAll(() => project?.remove());

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

test("the package has the build, the migrations and the documentation, but no tests and no sources", async () => {
  const files = await filesUnder(project.installed);
  const [built, others] = [
    files.filter((name) => name.startsWith("dist/")),
    files.filter((name) => !name.startsWith("dist/")),
  ];
  const folders = ["docs", "drizzle", "drizzle-1", "examples"].map(async (folder) =>
    (await filesUnder(join(root, folder)))
      .map((name) => `${folder}/${name}`)
      .filter((name) => !name.includes("node_modules")),
  );
  const pages = [
    "bench/RESULTS.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
  ];
  expect(others.toSorted()).toEqual(
    ["package.json", ...pages, ...(await Promise.all(folders)).flat()].toSorted(),
  );
  const readme = await readFile(join(project.installed, "README.md"), "utf8");
  const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((link) => !existsSync(join(project.installed, link)))).toEqual([]);
  const sources = (await filesUnder(join(root, "src")))
    // The command and the entries for Node are bundled into chunks, and the page of the studio into one module.
    .filter((name) => name.endsWith(".ts") && !/^(cli|studio\/page)\//.test(name))
    .map((name) => name.slice(0, -".ts".length));
  const kinds = [".js", ".d.ts", ".js.map", ".d.ts.map"];
  expect(built).toContain("dist/cli/main.js");
  expect(built).toContain("dist/node/index.js");
  const library = built.filter((name) => !/^dist\/(cli\/|node\/|LICENSES\.txt$)/.test(name));
  // Of the declarations, CommonJS gets those that the entries need.
  expect(library.filter((name) => !name.endsWith(".d.cts")).toSorted()).toEqual(
    sources.flatMap((name) => kinds.map((kind) => `dist/${name}${kind}`)).toSorted(),
  );
});

test("it has the licenses of the packages that are in its bundles", async () => {
  const licenses = await readFile(join(project.installed, "dist/LICENSES.txt"), "utf8");
  // Of the command, the studio, its page, and the entries.
  for (const name of ["commander", "hono", "preact", "uuid"]) {
    const license = (await readdir(join(root, "node_modules", name))).find((each) =>
      /^license/i.test(each),
    );
    expect(license, name).toBeDefined();
    const text = await readFile(join(root, "node_modules", name, license ?? ""), "utf8");
    expect(licenses).toContain(text.trim());
  }
});

test("publint reports nothing", async () => {
  const { messages } = await publint({ pkgDir: project.installed, pack: false, strict: true });
  // An example is copied as an app of its own, in which its `imports` have an effect.
  const isOfExample = (message: (typeof messages)[number]) =>
    message.code === "NESTED_PACKAGE_JSON_FIELD_IGNORED" &&
    message.args.filePath.startsWith("./examples/");
  expect(messages.filter((message) => !isOfExample(message))).toEqual([]);
});

test("its types resolve in every mode that can import it", async () => {
  const attw = join(root, "node_modules/.bin/attw");
  const options = ["--profile", "esm-only", "--format", "json"];
  // It ends before a slow reader of a pipe has read everything.
  const report = join(project.path, "types.json");
  const file = await open(report, "w");
  await once(
    spawn(attw, [project.tarball, ...options], { stdio: ["ignore", file.fd, "ignore"] }),
    "close",
  );
  await file.close();
  const output = await readFile(report, "utf8");
  const { analysis, problems } = JSON.parse(output) as {
    analysis: { entrypoints: Record<string, unknown> };
    problems: Record<string, readonly { kind: string; resolutionKind?: string }[]>;
  };
  expect(Object.keys(analysis.entrypoints).toSorted()).toEqual(
    Object.keys(project.packageFile.exports).toSorted(),
  );
  const ignored = new Set(["node10", "node16-cjs"]);
  const found = Object.values(problems)
    .flat()
    // An app in CommonJS loads the modules by `require`, and needs the declarations of drizzle-orm for CommonJS.
    .filter(
      ({ kind, resolutionKind }) => kind !== "FalseCJS" && !ignored.has(resolutionKind ?? ""),
    );
  expect(found).toEqual([]);
});

describe.each(["typescript", "typescript-5"])("with %s", (typescript) => {
  test.each(["nodenext", "bundler"])(
    "an app compiles with module resolution %s",
    async (resolution) => {
      const config = `tsconfig.${typescript}.${resolution}.json`;
      await writeFile(
        join(project.path, config),
        JSON.stringify({
          compilerOptions: {
            target: "es2023",
            ...strictOptions(resolution),
            outDir: `out/${typescript}/${resolution}`,
          },
          files: ["app.ts", "mistakes.ts"],
        }),
      );
      const tsc = `node_modules/${typescript}/bin/tsc`;
      await project.run(process.execPath, [tsc, "-p", config]);
    },
  );
});

test("the compiled app runs", async () => {
  const output = await project.run(process.execPath, ["out/typescript/nodenext/app.js"]);
  expect(JSON.parse(output)).toEqual({
    memory: 6,
    file: 6,
    missing: "RUN_NOT_FOUND",
    own: { runs: 1, pending: [], findings: [], created: 1 },
    prefixed: "app_workflow_runs",
    typed: {
      customer: "acme",
      traceId: "t",
      n: 1,
      weights: [12],
      steps: ["pack"],
      ofParcel: "acme",
    },
  });
});

test("the command runs on a database that the package has migrated", async () => {
  const gorkflow = join(project.path, "node_modules/.bin/gorkflow");
  expect(await project.run(gorkflow, ["--version"])).toBe("0.1.0\n");
  await project.run(gorkflow, ["migrate", "--database", "command.db"]);
  const report = await project.run(gorkflow, ["doctor", "--json", "--database", "command.db"]);
  expect(JSON.parse(report)).toEqual({ healthy: true, findings: [] });
});

test("without libsql's native package, the error says what to install and what to ship", async () => {
  const packages = join(project.path, "node_modules/@libsql");
  const native = (await readdir(packages)).filter((name) => /^(linux|darwin|win32)-/.test(name));
  expect(native).not.toEqual([]);
  const move = (from: string, to: string) =>
    Promise.all(
      native.map((name) => rename(join(packages, from + name), join(packages, to + name))),
    );
  await move("", "moved-");
  try {
    const gorkflow = join(project.path, "node_modules/.bin/gorkflow");
    await expect(project.run(gorkflow, ["stats", "--database", "command.db"])).rejects.toThrow(
      /native package of libsql .*install with optional dependencies.*libsql external/,
    );
  } finally {
    await move("moved-", "");
  }
});

interface LoadedModules {
  readonly modules: readonly string[];
  readonly askedByThePackage: readonly string[];
  readonly nativeModules: readonly string[];
}

/** The modules that are loaded when one of the package's entries is imported. */
async function lookAtImportOf(...args: readonly string[]) {
  const output = await project.run(process.execPath, ["look.mjs", ...args]);
  const loaded = JSON.parse(output) as LoadedModules;
  const bareModules = loaded.askedByThePackage.filter(
    (url) => !url.includes("/node_modules/gorkflow/dist/"),
  );
  return { ...loaded, bareModules };
}

function packagesOf(modules: readonly string[]): string[] {
  const names = modules.flatMap(
    (url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? [],
  );
  return [...new Set(names)].toSorted();
}

test("an import of the package loads Drizzle, and few modules of its own", async () => {
  const { modules } = await lookAtImportOf("gorkflow");
  expect(packagesOf(modules)).toEqual(["drizzle-orm", "gorkflow"]);
  // 138 when this was written, of which Drizzle has 107.
  expect(modules.length).toBeLessThan(160);
});

test("an app that runs a workflow on a MemoryStore loads no network client and no native module", async () => {
  const { modules, nativeModules } = await lookAtImportOf("gorkflow", "memory");
  expect(nativeModules).toEqual([]);
  // The schemas of the app are of zod.
  expect(packagesOf(modules)).toEqual(["drizzle-orm", "gorkflow", "zod"]);
});

describe("no native module and none of Node's is loaded by", () => {
  test.each(["gorkflow", "gorkflow/schema", "gorkflow/reports", "gorkflow/studio"])(
    "%s",
    async (entry) => {
      const { bareModules, nativeModules } = await lookAtImportOf(entry);
      expect(nativeModules).toEqual([]);
      expect(bareModules).not.toEqual([]);
      expect(bareModules.filter((url) => /^node:|\/node_modules\/libsql\//.test(url))).toEqual([]);
    },
  );

  test("gorkflow/client does load them, which shows that the check works", async () => {
    const { bareModules, nativeModules } = await lookAtImportOf("gorkflow/client");
    expect(nativeModules).not.toEqual([]);
    expect(bareModules).toContain("node:fs");
  });
});

test("the studio is loaded by its entry alone, and its page weighs at most 250 KB", async () => {
  const { modules } = await lookAtImportOf("gorkflow");
  expect(modules.filter((url) => url.includes("/studio/"))).toEqual([]);
  const output = await project.run(process.execPath, [
    "--input-type=module",
    "--eval",
    `import { gzipSync } from "node:zlib";
    import { MemoryStore } from "gorkflow";
    import { createStudio } from "gorkflow/studio";
    const studio = createStudio(new MemoryStore());
    let bytes = 0;
    for (const path of ["", "assets/studio.js", "assets/studio.css", "assets/icon.svg"]) {
      const response = await studio.fetch(new Request("http://localhost/" + path));
      if (!response.ok) throw new Error(path);
      bytes += gzipSync(await response.text()).length;
    }
    console.log(bytes);`,
  ]);
  expect(Number(output)).toBeGreaterThan(10_000);
  expect(Number(output)).toBeLessThan(250 * 1024);
});

test("every entry but the suite, the metrics and the relations of Drizzle 1.0 loads in a project that has only the peers", async () => {
  const { exports } = JSON.parse(
    await readFile(join(project.installed, "package.json"), "utf8"),
  ) as { exports: Record<string, unknown> };
  const entries = Object.keys(exports)
    .filter((entry) => !["./testing", "./metrics", "./package.json", "./relations"].includes(entry))
    .map((entry) => entry.replace(/^\./, "gorkflow"));
  expect(entries).toContain("gorkflow/schema");
  await project.run(process.execPath, [
    "--input-type=module",
    "--eval",
    entries.map((entry) => `await import("${entry}");`).join("\n"),
  ]);
});
