import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectedAnswers } from "../platforms/app/app.ts";
import { makeLinkedProject, strictOptions, type Project } from "./support/packed-project.ts";

const root = join(import.meta.dirname, "../..");
const packages = [
  "@libsql/client",
  "@types/better-sqlite3",
  "@types/node",
  "better-sqlite3",
  "libsql",
  "typescript",
  "uuid",
  "zod",
];

const apps = {
  "0.45": {
    sources: "consumer",
    files: ["app.ts", "exported.ts", "mistakes.ts", "synchronous.ts"],
    drizzle: "node_modules/drizzle-orm",
  },
  "1.0": {
    sources: "consumer-1",
    files: ["app.ts", "exported.ts", "synchronous.ts"],
    drizzle: "test/drizzle-1/node_modules/drizzle-orm",
  },
};
const compilers = {
  "TypeScript 7": "node_modules/typescript/bin/tsc",
  "TypeScript 5": join(root, "scripts/api-docs/node_modules/typescript/bin/tsc"),
};

const answersOf1 = {
  own: {
    runs: 1,
    created: 1,
    p95: null,
    steps: ["s"],
    workflowId: "ship",
    insertable: { runId: "r", stepId: "s" },
    found: { pending: [], healthy: true, findings: [] },
  },
  typed: { customer: "acme", traceId: "t", weights: [12] },
  opened: { output: 2, status: "COMPLETED", orderId: "o1" },
};

describe.each(Object.entries(apps))("an app on Drizzle %s", (version, app) => {
  let project: Project;
  beforeAll(async () => {
    project = await makeLinkedProject(packages, { links: { "drizzle-orm": app.drizzle } });
    await writeFile(join(project.path, "package.json"), JSON.stringify({ type: "module" }));
    await cp(join(import.meta.dirname, app.sources), project.path, { recursive: true });
  });
  afterAll(() => project?.remove());

  const compile = async (compiler: string, skipLibCheck: boolean) => {
    const compilerOptions = {
      ...strictOptions("nodenext"),
      target: "es2023",
      declaration: true,
      skipLibCheck,
      outDir: "out",
    };
    const config = JSON.stringify({ compilerOptions, files: app.files });
    await writeFile(join(project.path, "tsconfig.json"), config);
    return project.run(process.execPath, [compiler, "-p", "."]);
  };

  test.each(Object.entries(compilers))("compiles strictly with %s", async (_, compiler) => {
    await compile(compiler, true);
  });

  // Drizzle's own declarations have errors, of packages that an app does not have and of itself.
  test("compiles with skipLibCheck off, but for errors of Drizzle's own", async () => {
    const compiled = compile(compilers["TypeScript 7"], false);
    const output = await compiled.catch((error: Error) => error.message);
    const errors = output.split("\n").filter((line) => / error TS\d+:/.test(line));
    expect(errors).not.toEqual([]);
    expect(errors.filter((line) => !line.includes("node_modules/drizzle-orm/"))).toEqual([]);
  });

  test.each(Object.entries(compilers))(
    "compiles strictly with %s as CommonJS, and runs",
    async (_, compiler) => {
      const folder = join(project.path, "cjs");
      await cp(join(import.meta.dirname, "../platforms/app"), folder, { recursive: true });
      await writeFile(join(folder, "package.json"), '{ "type": "commonjs" }');
      const compilerOptions = { ...strictOptions("nodenext"), target: "es2023", outDir: "out" };
      const files = ["app.ts", "main.ts"];
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
      await project.run(process.execPath, [compiler, "-p", "cjs"]);
      const answers = await project.run(process.execPath, ["cjs/out/main.js"]);
      expect(JSON.parse(answers)).toEqual(expectedAnswers);
    },
  );

  test("runs", async () => {
    const answers = JSON.parse(await project.run(process.execPath, ["out/app.js"])) as object;
    expect(answers).toMatchObject(version === "1.0" ? answersOf1 : { memory: 6, file: 6 });
  });
});

test.each([
  ["0.45", "1.0"],
  ["1.0", "0.45"],
] as const)("drizzle-kit for %s beside drizzle-orm %s is named", async (kit, orm) => {
  const project = await makeLinkedProject(packages, {
    links: {
      "drizzle-orm": apps[orm].drizzle,
      "drizzle-kit": join(apps[kit].drizzle, "../drizzle-kit"),
    },
  });
  try {
    const program = `
      import { checkMigrations } from "gorkflow/migrations";
      import * as schema from "gorkflow/schema";
      await checkMigrations({ schema, folder: "node_modules/gorkflow/${kit === "1.0" ? "drizzle-1" : "drizzle"}" });`;
    const options = ["--preserve-symlinks", "--input-type=module", "--eval", program];
    await expect(project.run(process.execPath, options)).rejects.toThrow(
      /UnsupportedError: .*drizzle-kit\/\S+ cannot be loaded: drizzle-kit 1\.0 needs drizzle-orm 1\.0/,
    );
  } finally {
    await project.remove();
  }
});

/** Plants a change of one file in a copy of Drizzle 0.45, whose other files are links. */
async function copyDrizzle(
  project: Project,
  file: string,
  change: (text: string) => string,
): Promise<void> {
  const installed = join(root, "node_modules/drizzle-orm");
  const copy = join(project.path, "node_modules/drizzle-orm");
  const names = file.split("/");
  for (const [depth, name] of names.entries()) {
    const folder = names.slice(0, depth).join("/");
    await mkdir(join(copy, folder));
    for (const other of await readdir(join(installed, folder))) {
      if (other !== name) await symlink(join(installed, folder, other), join(copy, folder, other));
    }
  }
  const text = await readFile(join(installed, file), "utf8");
  await writeFile(join(copy, file), change(text));
}

test("on a Drizzle that is not supported, the import fails with one sentence", async () => {
  const project = await makeLinkedProject(packages);
  try {
    // 0.43 had no query cache.
    await copyDrizzle(project, "sqlite-core/session.js", (text) =>
      text.replace("queryWithCache", "queryOnce"),
    );
    const options = ["--preserve-symlinks", "--eval", 'import("gorkflow/schema")'];
    const imported = project.run(process.execPath, options);
    await expect(imported).rejects.toThrow(
      /UnsupportedError: .*0\.44, 0\.45, and 1\.0\.0-rc\.5 or later/,
    );
  } finally {
    await project.remove();
  }
});
