import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { InvalidArgumentError } from "../../errors.ts";
import { mergeSteps, hasConflict } from "./merge-conflicts.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { statementsOf } from "../sql-statements.ts";

const journalSchema = z.object({
  entries: z.array(z.object({ idx: z.int(), when: z.number(), tag: z.string() })),
});

const hashesSchema = z.record(z.string(), z.string());

type JournalEntry = z.output<typeof journalSchema>["entries"][number];

const journalFile = "meta/_journal.json";

/** The file with the hashes of committed migrations, which reveal edits without a database and git. */
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

/** @throws {InvalidArgumentError} if `path` is not a folder. */
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
    problems.push(unreadable(file, text, snapshots));
    return null;
  };
  const journal = await parse(journalFile, journalSchema, null);
  const hashes = await parse(hashesFile, hashesSchema, {});
  const folder = { path, entries: journal?.entries ?? [], sql, snapshots, hashes: hashes ?? {} };
  return { folder, problems };
}

function unreadable(
  file: string,
  text: string | null,
  snapshots: ReadonlyMap<string, string>,
): MigrationProblem {
  const code = "JOURNAL_UNREADABLE";
  if (text === null) {
    const remedy = "restore it from version control";
    return { code, file, message: `${file} is missing`, remedy };
  }
  if (!hasConflict(text)) {
    const remedy = "restore it from version control";
    return { code, file, message: `${file} is not what drizzle-kit writes`, remedy };
  }
  const message = `${file} has the conflict markers of a merge`;
  if (file === journalFile) return { code, file, message, remedy: mergeSteps(text, snapshots) };
  const remedy = "remove the markers, and keep the lines of the migrations that the journal names";
  return { code, file, message, remedy };
}

/** Which recorded migrations to record again. */
export interface RecordOptions {
  /** Tags of edited migrations that are not committed, shared or applied yet. */
  readonly again?: readonly string[] | undefined;
}

/**
 * Records the hashes of migrations without one, except migrations without a statement, such as the empty template of
 * `drizzle-kit generate --custom`. Existing hashes stay, so an edited migration remains a problem, unless `again` has it.
 *
 * @returns the tags that were recorded.
 * @throws {InvalidArgumentError} if the folder cannot be read, or `again` names a migration that it does not have.
 */
export async function recordMigrationHashes(
  path: string,
  { again = [] }: RecordOptions = {},
): Promise<string[]> {
  const { folder, problems } = await readMigrationFolder(path);
  const [problem] = problems;
  if (problem !== undefined) {
    throw new InvalidArgumentError({ argument: "folder", reason: problem.message });
  }
  const known = new Set(folder.entries.map(({ tag }) => tag));
  const stranger = again.find((tag) => !known.has(tag));
  if (stranger !== undefined) {
    const reason = `names ${stranger}, which the journal does not have`;
    throw new InvalidArgumentError({ argument: "again", reason });
  }
  const recorded = folder.entries.flatMap(({ tag }) => {
    const sql = folder.sql.get(tag);
    if (sql === undefined || isUnwritten(sql)) return [];
    const hash = hashOf(sql);
    const isNew = !Object.hasOwn(folder.hashes, tag);
    return isNew || (again.includes(tag) && folder.hashes[tag] !== hash)
      ? [[tag, hash] as const]
      : [];
  });
  if (recorded.length === 0) return [];
  const hashes = { ...folder.hashes, ...Object.fromEntries(recorded) };
  await writeFile(join(path, hashesFile), `${JSON.stringify(hashes, null, 2)}\n`);
  return recorded.map(([tag]) => tag);
}

/** True for the template of `drizzle-kit generate --custom`. */
export function isUnwritten(sql: string): boolean {
  return statementsOf(sql).length === 0;
}

/** The SHA-256 of a migration, with normalized line ends. */
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
