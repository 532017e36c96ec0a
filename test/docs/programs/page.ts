// Runs the compiled blocks of one page in one process, in order. Each line of stdin is the path of a block. After each
// block it prints `endOfBlock` to both streams.
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
