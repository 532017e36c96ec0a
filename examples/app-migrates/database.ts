import { drizzle } from "drizzle-orm/libsql";
import { createClient } from "@libsql/client";
import { createClient as createLocalClient } from "gorkflow/client";
import * as schema from "./schema.ts";

/** The app's database, on a server or in a file. */
export function openDatabase(url = process.env["DATABASE_URL"] ?? "file:./members.db") {
  const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });
  return drizzle({ client, schema });
}
