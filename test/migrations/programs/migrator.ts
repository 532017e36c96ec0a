// Migrates a database when it is told to, and says what came of it.
import { createClient } from "@libsql/client";
import { createClient as createLocalClient } from "../../../src/client/create-client.ts";
import { migrate } from "../../../src/migrations/migrate.ts";

const [url = ""] = process.argv.slice(2);
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
process.on("message", () => {
  void migrate(client).then(
    ({ applied }) => process.send?.({ applied }, () => process.disconnect?.()),
    (error: unknown) => process.send?.({ error: String(error) }, () => process.disconnect?.()),
  );
});
process.send?.({ ready: true });
