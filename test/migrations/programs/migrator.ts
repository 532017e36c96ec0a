// Applies the migrations that it is sent to a database, and says what came of it.
import { createClient } from "@libsql/client";
import { createClient as createLocalClient } from "../../../src/client/create-client.ts";
import type { CompiledMigration } from "../../../src/migrations/compiled.ts";
import { applyMigrations } from "../../../src/migrations/migrate.ts";

const [url = ""] = process.argv.slice(2);
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
process.on("message", (migrations: readonly CompiledMigration[]) => {
  void applyMigrations(client, migrations).then(
    ({ applied }) => process.send?.({ applied }, () => process.disconnect?.()),
    (error: unknown) => process.send?.({ error: String(error) }, () => process.disconnect?.()),
  );
});
process.send?.({ ready: true });
