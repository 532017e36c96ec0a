// Opens a store on a server as the first thing that the process does, and tells what came of it. Arguments: URL, and
// how long an answer may take in ms.
import { GorkflowError } from "../../../../src/errors.ts";
import { LibSQLStore } from "../../../../src/stores/libsql/libsql-store.ts";

const [url = "", timeoutMs] = process.argv.slice(2);
try {
  await LibSQLStore.open({ url, timeoutMs: Number(timeoutMs), migrate: false });
} catch (error) {
  process.send?.({ code: error instanceof GorkflowError ? error.code : String(error) });
}
