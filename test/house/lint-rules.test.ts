import { execFile } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { temporaryFolder } from "../support/temporary.ts";

const root = join(import.meta.dirname, "../..");

const imports = "eslint(no-restricted-imports)";

/** One violation of each lint rule: the file, the code, and the rule that must report it. */
const violations: readonly [file: string, code: string, rule: string][] = [
  ...refusedImport("src/errors.ts", "./schema/planted.ts"),
  ...refusedImport("src/json.ts", "./open-store.ts"),
  ...refusedImport("src/arguments.ts", "node:fs"),
  ...refusedImport("src/async/planted.ts", "../model/leases.ts"),
  ...refusedImport("src/async/planted.ts", "node:fs"),
  ...refusedImport("src/model/planted.ts", "../environment.ts"),
  ...refusedImport("src/engine/planted.ts", "../environment.ts"),
  ...refusedImport("src/stores/libsql/planted.ts", "../../environment.ts"),
  ...refusedImport("src/schema/planted.ts", "../model/leases.ts"),
  ...refusedImport("src/schema/planted.ts", "node:fs"),
  ...refusedImport("src/model/planted.ts", "../store/clock.ts"),
  ...refusedImport("src/model/planted.ts", "drizzle-orm"),
  ...refusedImport("src/model/planted.ts", "../schema/index.ts"),
  ...refusedImport("src/store/planted.ts", "../stores/memory/memory-store.ts"),
  ...refusedImport("src/store/planted.ts", "@libsql/client"),
  ...refusedImport("src/drivers/planted.ts", "../stores/sqlite/sqlite-store.ts"),
  ...refusedImport("src/drivers/planted.ts", "better-sqlite3"),
  ...refusedImport("src/client/planted.ts", "../model/leases.ts"),
  ...refusedImport("src/client/planted.ts", "drizzle-orm"),
  ...refusedImport("src/migrations/planted.ts", "../stores/libsql/runs.ts"),
  ...refusedImport("src/migrations/planted.ts", "../stores/sqlite/statements/runs.ts"),
  ...refusedImport("src/stores/planted.ts", "../client/config.ts"),
  ...refusedImport("src/stores/memory/planted.ts", "../libsql/runs.ts"),
  ...refusedImport("src/stores/memory/planted.ts", "../../migrations/migrate.ts"),
  ...refusedImport("src/stores/memory/planted.ts", "drizzle-orm"),
  ...refusedImport("src/stores/libsql/planted.ts", "../memory/runs.ts"),
  ...refusedImport("src/stores/libsql/planted.ts", "../../engine/engine.ts"),
  ...refusedImport("src/stores/libsql/planted.ts", "drizzle-orm/libsql"),
  ...refusedImport("src/stores/libsql/planted.ts", "node:fs"),
  ...refusedImport("src/stores/sqlite/operations/planted.ts", "../../memory/runs.ts"),
  ...refusedImport("src/stores/sqlite/operations/planted.ts", "../../libsql/libsql-store.ts"),
  ...refusedImport("src/stores/sqlite/operations/planted.ts", "../../../engine/engine.ts"),
  ...refusedImport("src/engine/planted.ts", "../stores/memory/memory-store.ts"),
  ...refusedImport("src/engine/run/planted.ts", "../../stores/memory/memory-store.ts"),
  ...refusedImport("src/engine/planted.ts", "node:fs"),
  ...refusedImport("src/retention/planted.ts", "../stores/memory/memory-store.ts"),
  ...refusedImport("src/transfer/planted.ts", "../engine/engine.ts"),
  ...refusedImport("src/transfer/planted.ts", "../stores/libsql/runs.ts"),
  ...refusedImport("src/transfer/planted.ts", "../migrations/migrate.ts"),
  ...refusedImport("src/reports/planted.ts", "../stores/libsql/runs.ts"),
  ...refusedImport("src/reports/planted.ts", "../store/clock.ts"),
  ...refusedImport("src/reports/planted.ts", "../model/leases.ts"),
  ...refusedImport("src/reports/planted.ts", "../retention/policy.ts"),
  ...refusedImport("src/reports/planted.ts", "drizzle-orm/libsql"),
  ...refusedImport("src/reports/planted.ts", "node:fs"),
  ...refusedImport("src/reports/planted.ts", "../metrics/observe-queues.ts"),
  ...refusedImport("src/metrics/planted.ts", "../stores/libsql/libsql-store.ts"),
  ...refusedImport("src/engine/planted.ts", "../metrics/observe-queues.ts"),
  ...refusedImport("src/studio/planted.ts", "../stores/memory/memory-store.ts"),
  ...refusedImport("src/studio/planted.ts", "node:fs"),
  ...refusedImport("src/studio/page/planted.ts", "../reading.ts"),
  ...refusedImport("src/testing/planted.ts", "../stores/memory/memory-store.ts"),
  ...refusedImport("src/testing/conformance/planted.ts", "../../stores/memory/memory-store.ts"),
  ...refusedImport("src/engine/planted.ts", "vitest"),
  ...refusedImport("src/cli/planted.ts", "../index.ts"),
  ["src/engine/planted.ts", "export const pid = process.pid;", "eslint(no-restricted-globals)"],
  ["src/engine/planted.ts", "export const thing: any = 1;", "typescript(no-explicit-any)"],
  ["src/engine/planted.ts", "export default 1;", "import(no-default-export)"],
];

/** Code that looks like a violation but is allowed in its file. */
const accepted: readonly [file: string, code: string][] = [
  ["src/engine/accepted.ts", 'export { a } from "../model/leases.ts";'],
  ["src/async/accepted.ts", 'export { a } from "../errors.ts";'],
  ["src/stores/libsql/accepted.ts", 'export { a } from "../../client/config.ts";'],
  ["src/stores/libsql/accepted.ts", 'export { b } from "drizzle-orm/libsql/web";'],
  ["src/transfer/accepted.ts", 'export { a } from "../stores/operations-store.ts";'],
  ["src/transfer/accepted.ts", 'export { b } from "../migrations/compiled.ts";'],
  ["src/reports/accepted.ts", 'export { a } from "../schema/tables.ts";'],
  ["src/reports/accepted.ts", 'export { b } from "drizzle-orm/sqlite-core";'],
  ["src/metrics/accepted.ts", 'export { a } from "../reports/queue-depth.ts";'],
  ["src/testing/accepted.ts", 'export { a } from "vitest";'],
  ["src/studio/accepted.ts", 'export { a } from "../reports/index.ts";'],
  ["src/cli/accepted.ts", "export const pid = process.pid;"],
  ["src/index.ts", 'export { a } from "./schema/index.ts";'],
];

function refusedImport(file: string, from: string): [string, string, string][] {
  return [[file, `export { x } from "${from}";`, imports]];
}

/** The broken rules, by file and line. */
let findings: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  const folder = await temporaryFolder();
  try {
    await cp(join(root, ".oxlintrc.json"), join(folder.path, ".oxlintrc.json"));
    for (const [file, lines] of planted()) {
      await mkdir(dirname(join(folder.path, file)), { recursive: true });
      await writeFile(join(folder.path, file), `${lines.join("\n")}\n`);
    }
    findings = await lint(folder.path);
  } finally {
    await folder.remove();
  }
});

/** The files to lint, with one violation per line. */
function planted(): Map<string, string[]> {
  const files = new Map<string, string[]>();
  for (const [file, code] of [...violations, ...accepted]) {
    files.set(file, [...(files.get(file) ?? []), code]);
  }
  return files;
}

async function lint(folder: string): Promise<Map<string, string[]>> {
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const output = await new Promise<string>((resolve) => {
    // Without types, which these rules do not need.
    execFile(oxlint, ["--format=unix", "src"], { cwd: folder }, (_, out) => resolve(out));
  });
  const found = new Map<string, string[]>();
  for (const [, place = "", rule = ""] of output.matchAll(/^(\S+:\d+):\d+: .*\[Error\/(.*)\]$/gm)) {
    found.set(place, [...(found.get(place) ?? []), rule]);
  }
  return found;
}

function rulesAt(file: string, code: string): readonly string[] {
  const line = (planted().get(file) ?? []).indexOf(code) + 1;
  return findings.get(`${file}:${line}`) ?? [];
}

test.each(violations)("in %s, `%s` breaks %s", (file, code, rule) => {
  expect(rulesAt(file, code)).toContain(rule);
});

test.each(accepted)("in %s, `%s` is accepted", (file, code) => {
  expect(rulesAt(file, code)).toEqual([]);
});
