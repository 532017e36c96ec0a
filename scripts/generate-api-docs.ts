// npm run docs:api [-- FOLDER]
//
// Writes the API reference, from the docstrings of all entries, into docs/api or another folder.
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const folder = resolve(process.argv[2] ?? `${root}/docs/api`);
const generator = `${root}/scripts/api-docs`;
const options = ["--options", "typedoc.json", "--out", folder, "--logLevel", "Warn"];
execFileSync(`${generator}/node_modules/.bin/typedoc`, [...options, "--treatWarningsAsErrors"], {
  cwd: generator,
  stdio: "inherit",
});
