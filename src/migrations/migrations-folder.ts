import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDrizzle1 } from "../drizzle.ts";

/** Undefined in a CommonJS bundle, whose modules have no URL. */
const url = import.meta.url as string | undefined;

/**
 * The folder of this package's migrations, for an app that applies them itself: in the layout that the installed
 * Drizzle reads.
 */
export const migrationsFolder = join(
  url === undefined ? "node_modules/gorkflow/dist/migrations" : dirname(fileURLToPath(url)),
  isDrizzle1 ? "../../drizzle-1" : "../../drizzle",
);
