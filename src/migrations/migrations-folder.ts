import { fileURLToPath } from "node:url";

/** The folder of this package's migrations, as drizzle-kit wrote them, for an app that applies them itself. */
export const migrationsFolder = fileURLToPath(new URL("../../drizzle", import.meta.url));
