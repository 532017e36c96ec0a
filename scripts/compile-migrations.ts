import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { writtenChunksOf } from "../src/migrations/sql-statements.ts";

interface Journal {
  readonly entries: readonly { readonly tag: string; readonly when: number }[];
}

const folder = new URL("../drizzle/", import.meta.url);

/** The source of the module that contains the migrations in `drizzle/`, for platforms without a file system. */
export function compileMigrations(): string {
  const journal = JSON.parse(
    readFileSync(new URL("meta/_journal.json", folder), "utf8"),
  ) as Journal;
  const migrations = journal.entries.map(({ tag, when }) => {
    const sql = readFileSync(new URL(`${tag}.sql`, folder), "utf8");
    const hash = createHash("sha256").update(sql).digest("hex");
    return { tag, when, hash, statements: writtenChunksOf(dropIndexesIfTheyExist(sql)) };
  });
  return `// Written by \`npm run db:generate\` from the files in drizzle/. Not to be edited.

/** One migration of drizzle-kit. \`hash\` is the SHA-256 of its file, as Drizzle's own migrator computes it. */
export interface CompiledMigration {
  readonly tag: string;
  readonly when: number;
  readonly hash: string;
  readonly statements: readonly string[];
}

export const compiledMigrations: readonly CompiledMigration[] = ${JSON.stringify(migrations, null, 2)};
`;
}

/** Lets a database be upgraded even if somebody has dropped one of its indexes. */
export function dropIndexesIfTheyExist(sql: string): string {
  return sql.replace(/^DROP INDEX (?!IF EXISTS )/gim, "DROP INDEX IF EXISTS ");
}

export const compiledModule = new URL("../src/migrations/compiled.ts", import.meta.url);

if (process.argv[1] === new URL(import.meta.url).pathname) {
  writeFileSync(compiledModule, compileMigrations());
}
