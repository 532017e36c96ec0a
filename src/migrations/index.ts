export { migrationStatus, migrationsTable } from "./journal.ts";
export type { MigrationStatus, MigrationTarget } from "./journal.ts";
export { migrate } from "./migrate.ts";
export type { MigrationReport } from "./migrate.ts";
