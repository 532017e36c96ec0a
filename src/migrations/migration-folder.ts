import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { InvalidArgumentError } from "../errors.ts";
import type { MigrationProblem } from "./migration-problems.ts";

const journalSchema = z.object({
  entries: z.array(z.object({ idx: z.int(), when: z.number(), tag: z.string() })),
});

const hashesSchema = z.record(z.string(), z.string());

type JournalEntry = z.output<typeof journalSchema>["entries"][number];

/** Where the hashes of committed migrations are kept, so that an edit is noticed without a database and git. */
export const hashesFile = "meta/_hashes.json";

/** A folder of migrations as drizzle-kit writes it. */
export interface MigrationFolder {
  readonly path: string;
  readonly entries: readonly JournalEntry[];
  /** Text of the SQL files, by tag. */
  readonly sql: ReadonlyMap<string, string>;
  /** Text of the snapshots, by name of file. */
  readonly snapshots: ReadonlyMap<string, string>;
  readonly hashes: Readonly<Record<string, string>>;
}

/** @throws {InvalidArgumentError} when `path` is not a folder. */
export async function readMigrationFolder(
  path: string,
): Promise<{ readonly folder: MigrationFolder; readonly problems: MigrationProblem[] }> {
  const problems: MigrationProblem[] = [];
  const names = await readdir(path).catch((error: unknown) => {
    throw new InvalidArgumentError(
      { argument: "folder", reason: "is not a folder that can be read" },
      { cause: error },
    );
  });
  const metaNames = await readdir(join(path, "meta")).catch(() => []);
  const read = (name: string) => readFile(join(path, name), "utf8");
  const sql = new Map<string, string>();
  for (const name of names.filter((each) => each.endsWith(".sql")).toSorted()) {
    sql.set(name.slice(0, -".sql".length), await read(name));
  }
  const snapshots = new Map<string, string>();
  for (const name of metaNames.filter((each) => each.endsWith("_snapshot.json")).toSorted()) {
    snapshots.set(name, await read(join("meta", name)));
  }
  const parse = async <T>(
    file: string,
    schema: z.ZodType<T>,
    whenMissing: T | null,
  ): Promise<T | null> => {
    const text = await read(file).catch(() => null);
    if (text === null && whenMissing !== null) return whenMissing;
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    problems.push({
      code: "JOURNAL_UNREADABLE",
      file,
      message: text === null ? `${file} is missing` : `${file} is not what drizzle-kit writes`,
      remedy: "restore it from version control; a merge may have left conflict markers in it",
    });
    return null;
  };
  const journal = await parse("meta/_journal.json", journalSchema, null);
  const hashes = await parse(hashesFile, hashesSchema, {});
  const folder = { path, entries: journal?.entries ?? [], sql, snapshots, hashes: hashes ?? {} };
  return { folder, problems };
}

/**
 * Records the hashes of the journal's migrations that have none yet. Those that are recorded stay as they are:
 * an edited migration remains a problem.
 *
 * @returns the tags that were recorded.
 */
export async function recordMigrationHashes(path: string): Promise<string[]> {
  const { folder, problems } = await readMigrationFolder(path);
  const [problem] = problems;
  if (problem !== undefined) {
    throw new InvalidArgumentError({ argument: "folder", reason: problem.message });
  }
  const added = folder.entries.flatMap(({ tag }) => {
    const sql = folder.sql.get(tag);
    return sql === undefined || tag in folder.hashes ? [] : [[tag, hashOf(sql)] as const];
  });
  if (added.length === 0) return [];
  const hashes = { ...folder.hashes, ...Object.fromEntries(added) };
  await writeFile(join(path, hashesFile), `${JSON.stringify(hashes, null, 2)}\n`);
  return added.map(([tag]) => tag);
}

/** SHA-256 of a migration, whatever line ends a checkout gave it. */
export function hashOf(sql: string): string {
  return createHash("sha256").update(sql.replaceAll("\r\n", "\n")).digest("hex");
}

export function parseJson(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
