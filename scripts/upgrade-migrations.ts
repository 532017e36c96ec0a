import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Where the migrations are in the layout of drizzle-kit 1.0. */
export const upgradedFolder = join(root, "drizzle-1");

/** Writes the migrations of `drizzle/` to `target` in the layout of drizzle-kit 1.0, as its `up` does. */
export function upgradeMigrations(target: string): void {
  rmSync(target, { recursive: true, force: true });
  cpSync(join(root, "drizzle"), target, { recursive: true });
  const { status, stderr } = spawnSync(
    process.execPath,
    ["node_modules/drizzle-kit/bin.cjs", "up", "--dialect", "sqlite", "--out", target],
    { cwd: join(root, "test/drizzle-1"), encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`drizzle-kit up failed: ${stderr}`);
}

if (process.argv[1] === import.meta.filename) upgradeMigrations(upgradedFolder);
