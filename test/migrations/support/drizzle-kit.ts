import { isDrizzle1 } from "../../../src/drizzle.ts";

interface Kit {
  readonly generateSQLiteDrizzleJson: (schema: object, previousId?: string) => Promise<Snapshot>;
  readonly generateSQLiteMigration: (before: Snapshot, after: Snapshot) => Promise<string[]>;
}

interface Snapshot {
  readonly id: string;
  /** Of drizzle-kit 0.31. */
  readonly tables?: Record<string, { readonly columns: Record<string, object> }>;
  /** Of drizzle-kit 1.0. */
  readonly ddl?: readonly { readonly table?: string; readonly name: string }[];
}

async function loadKit(): Promise<Kit> {
  if (!isDrizzle1) return (await import("drizzle-kit/api")) as unknown as Kit;
  // A variable, because 0.31 does not have it.
  const name = "drizzle-kit/payload/sqlite";
  const kit = (await import(name)) as Record<string, unknown>;
  return {
    generateSQLiteDrizzleJson: kit["generateDrizzleJson"],
    generateSQLiteMigration: kit["generateMigration"],
  } as Kit;
}

/** The API of the drizzle-kit that the tests run on. */
export const { generateSQLiteDrizzleJson, generateSQLiteMigration } = await loadKit();

/** Where that drizzle-kit keeps the files of a migration. */
export const layout = isDrizzle1
  ? {
      tag: (index: number, name: string) => `2026010100000${index}_${name}`,
      sql: (tag: string) => `${tag}/migration.sql`,
      snapshot: (tag: string) => `${tag}/snapshot.json`,
    }
  : {
      tag: (index: number, name: string) => `000${index}_${name}`,
      sql: (tag: string) => `${tag}.sql`,
      snapshot: (tag: string) => `meta/${tag.slice(0, 4)}_snapshot.json`,
    };
