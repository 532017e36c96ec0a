import { fileURLToPath } from "node:url";
import { isDrizzle1 } from "../drizzle.ts";

/**
 * The folder of this package's migrations, for an app that applies them itself: in the layout that the installed
 * Drizzle reads.
 */
export const migrationsFolder = fileURLToPath(
  new URL(isDrizzle1 ? "../../drizzle-1" : "../../drizzle", import.meta.url),
);
