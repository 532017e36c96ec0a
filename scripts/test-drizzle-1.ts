// npm run test:drizzle-1 [-- FILE…]
//
// Runs tests on the Drizzle 1.0 of the workspace `test/drizzle-1`, in Vitest and in the processes that tests start.
import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const hooks = pathToFileURL(join(root, "test/drizzle-1/register.mjs")).href;
const folders = ["migrations", "host", "reports", "stores"];
const given = process.argv.slice(2);
const files = given.length > 0 ? given : folders.map((name) => `test/${name}/`);
const { status } = spawnSync("vitest", ["run", "--project", "short", ...files], {
  cwd: root,
  env: { ...process.env, DRIZZLE: "1", NODE_OPTIONS: `--import ${hooks}` },
  stdio: "inherit",
});
process.exitCode = status ?? 1;
