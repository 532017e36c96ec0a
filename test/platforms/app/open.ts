// Opens a file, and prints the error if that fails.
import { LibSQLStore } from "gorkflow";

LibSQLStore.open(`file:${process.argv[2] ?? "."}/open.db`).then(
  (store) => store.close(),
  (error: unknown) => console.log(String(error)),
);
