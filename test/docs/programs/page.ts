// Runs the compiled blocks of one page in one process, in order: each line of the standard input is the path of one.
// After each it ends what the block has printed, on both streams, with `endOfBlock`.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const endOfBlock = "\0";

for await (const path of createInterface(process.stdin)) {
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  process.stdout.write(endOfBlock);
  process.stderr.write(endOfBlock);
}
