// Runs commands one after the other, each in a folder of its own, and tells how each ended.
import { setMaxListeners } from "node:events";
import { runCommandLine } from "../../../src/cli/command-line.ts";

for (const target of [process, process.stdout, process.stderr]) setMaxListeners(0, target);
for (const [folder, args] of JSON.parse(process.argv[2] ?? "[]") as [string, string[]][]) {
  process.chdir(folder);
  process.exitCode = 0;
  const code = await runCommandLine(args);
  process.send?.({ args, code });
}
process.exitCode = 0;
process.disconnect();
