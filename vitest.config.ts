import { tmpdir } from "node:os";
import { configDefaults, defineConfig, type ViteUserConfig } from "vitest/config";
import { SlowestFirst } from "./scripts/test-order.ts";

const entry = (name: string) => `${import.meta.dirname}/src/${name}`;

/** `npm run test:drizzle-1` sets it: tests run on the Drizzle of the workspace `test/drizzle-1`. */
const onDrizzle1 = process.env["DRIZZLE"] === "1";
const drizzle1: NonNullable<ViteUserConfig["plugins"]>[number] = {
  name: "drizzle-1",
  enforce: "pre",
  async resolveId(source) {
    if (!/^drizzle-(orm|kit)(\/|$)/.test(source)) return null;
    // A file that exists: Vite resolves from the root otherwise.
    const importer = `${import.meta.dirname}/test/drizzle-1/register.mjs`;
    try {
      return await this.resolve(source, importer, { skipSelf: true });
    } catch {
      // Node has the error for a subpath that 1.0 does not export.
      return { id: source, external: true };
    }
  },
};

/** Tests that kill, flood, install, or start many processes. */
const long = "test/**/*.long.test.ts";

/** A suite for a module that Node 20 does not have. */
const hasNodeSQLite = process.getBuiltinModule("node:sqlite") !== undefined;
const ofNewerNode = hasNodeSQLite ? ["test/testing/node-sqlite.suite.ts"] : [];

/** Random tests: a few cases in `npm test`, the full number in `npm run test:long`. */
const sized = [
  "test/company.test.ts",
  "test/equivalence.test.ts",
  "test/state-machine.test.ts",
  "test/**/histories.test.ts",
  "test/client/differential.test.ts",
  "test/reports/figures.test.ts",
];
const smokeSizes = {
  COMPANY_SCALE: "0.05",
  DIFFERENTIAL_RUNS: "20",
  EQUIVALENCE_RUNS: "150",
  STATE_MACHINE_RUNS: "40",
  HISTORY_SECONDS: "2",
  REPORT_ROUNDS: "12",
  TRANSFER_SECONDS: "2",
};

/** CI plays them for seconds. */
const longSizes = { HISTORY_SECONDS: "60", TRANSFER_SECONDS: "60" };

export default defineConfig({
  plugins: onDrizzle1 ? [drizzle1] : [],
  // Examples import the package by its name, as users do.
  resolve: {
    alias: [
      { find: "#clients", replacement: entry("stores/libsql/clients.ts") },
      { find: /^gorkflow$/, replacement: entry("index.ts") },
      { find: /^gorkflow\/(\w+)$/, replacement: entry("$1/index.ts") },
    ],
  },
  test: {
    globalSetup: "./test/support/compiled-programs.ts",
    reporters: ["default", "./scripts/slowest-files.ts"],
    // Most tests wait for a process, a server or the disk, so two files at once take half the time on two cores.
    maxWorkers: 2,
    sequence: { sequencer: SlowestFirst },
    // Processes and servers can be slow on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "short",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, long],
          // Loading the sources, Drizzle and zod for each file would take a fifth of the time.
          isolate: false,
          env: { ...smokeSizes, ...sizesOf(process.env) },
        },
      },
      {
        extends: true,
        test: {
          name: "long",
          include: [long, ...sized, ...ofNewerNode],
          maxConcurrency: 10,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          env: { ...longSizes, ...sizesOf(process.env) },
        },
      },
      {
        extends: true,
        test: {
          name: "platforms",
          // They install runtimes, bundlers and package managers.
          include: ["test/platforms/*.platform.ts"],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          // Too large for memory.
          env: { TMPDIR: tmpdir() },
        },
      },
    ],
    coverage: {
      include: ["src/**/*.ts"],
      // A browser runs the page of the studio.
      exclude: ["src/**/index.ts", "src/migrations/compiled.ts", "src/studio/page/**"],
      thresholds: {
        // What `npm test` reaches, rounded down. Raise these with the coverage.
        statements: 91,
        branches: 84,
        functions: 90,
        lines: 93,
        "src/model/**": { statements: 100, branches: 100, functions: 100, lines: 100 },
      },
    },
  },
});

/** The sizes that the caller has set, which override the small ones. */
function sizesOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.keys(smokeSizes).flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
