import { drizzle } from "drizzle-orm/libsql";
import { createClient } from "@libsql/client";
import { createClient as createLocalClient } from "gorkflow/client";
import * as schema from "./schema.ts";

const url = process.env["DATABASE_URL"] ?? "file:./invoices.db";
const client = url.startsWith("file:") ? createLocalClient(url) : createClient({ url });

/** The app's database, on a server or in a file. */
export const db = drizzle({ client, schema, casing: "snake_case" });
