import { LibSQLStore } from "../../../src/stores/libsql/libsql-store.ts";

const [url = "", syncUrl = "", authToken = "", exits = ""] = process.argv.slice(2);
const store = await LibSQLStore.open({ url, syncUrl, authToken, timeoutMs: 60_000 });
process.once("message", () => {
  store.sync().catch(() => undefined);
  setTimeout(() => {
    if (exits === "process.exit") process.exit(0);
    void store.close();
    process.disconnect();
  }, 300);
});
process.send?.("opened");
