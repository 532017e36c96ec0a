import { defineConfig } from "vitest/config";

const entry = (name: string) => `${import.meta.dirname}/src/${name}`;

export default defineConfig({
  // The examples import the package by its name, as users do.
  resolve: {
    alias: [
      { find: "#clients", replacement: entry("stores/libsql/clients.ts") },
      { find: /^gorkflow$/, replacement: entry("index.ts") },
      { find: /^gorkflow\/(\w+)$/, replacement: entry("$1/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    // Most tests wait for a process, a server or the disk: on two cores, two files at once take half the time.
    maxWorkers: 2,
    // Real processes and servers on two cores: what takes long is not wrong.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      include: ["src/**/*.ts"],
      exclude: ["src/**/index.ts", "src/migrations/compiled.ts"],
      thresholds: {
        "src/model/**": { statements: 100, branches: 100, functions: 100, lines: 100 },
      },
    },
  },
});
