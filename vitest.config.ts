import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
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
