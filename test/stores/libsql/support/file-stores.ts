import { createClient } from "@libsql/client";
import { drizzle } from "drizzle-orm/libsql";
import { schema } from "../../../../src/schema/schema.ts";
import type { WorkflowStore } from "../../../../src/store/workflow-store.ts";
import { LibSQLStore } from "../../../../src/stores/libsql/libsql-store.ts";

/** Who made the client: the store itself, or an app, with `@libsql/client`. */
export type ClientKind = "our own client" | "an app's client";

/** A store on a database that is already migrated. */
export async function openFileStore(
  url: string,
  kind: ClientKind,
): Promise<{ store: WorkflowStore; close(): Promise<void> }> {
  if (kind === "our own client") {
    const store = await LibSQLStore.open({ url, durability: "normal", migrate: false });
    return { store, close: () => store.close() };
  }
  const client = createClient({ url });
  const store = new LibSQLStore(drizzle({ client, schema }));
  return {
    store,
    close: async () => {
      await store.close();
      client.close();
    },
  };
}
