// main.js FOLDER: uses everything, in files of the folder. main.js FOLDER open: opens a file only.
import { LibSQLStore } from "gorkflow";

const [folder = ".", program] = process.argv.slice(2);

async function main(): Promise<object> {
  if (program === "open") {
    const store = await LibSQLStore.open(`file:${folder}/open.db`);
    await store.close();
    return {};
  }
  // Loads the native package at once.
  const { useEverything } = await import("./app.js");
  return useEverything(folder);
}

main().then(
  (answer) => console.log(JSON.stringify(answer)),
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
