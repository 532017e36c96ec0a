import { createRequire } from "node:module";
import type * as LibsqlClient from "@libsql/client";
import type Libsql from "libsql";

/**
 * The binding and the client that the package itself uses. A second copy, which another package brings along here,
 * would be a second SQLite in this process, and two on one file break its locks.
 */
const require = createRequire(new URL("../package.json", import.meta.url));
export const Database = require("libsql") as typeof Libsql;
export const { createClient } = require("@libsql/client") as typeof LibsqlClient;
