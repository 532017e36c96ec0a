import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod/mini";
import { isDrizzle1 } from "../../drizzle.ts";
import { InvalidArgumentError } from "../../errors.ts";
import { mergeSteps, hasConflict } from "./merge-conflicts.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { statementsOf } from "../../sql-tokens.ts";

const journalSchema = z.object({
  entries: z.array(z.object({ idx: z.int(), when: z.number(), tag: z.string() })),
});

const hashesSchema = z.record(z.string(), z.string());

type JournalEntry = z.output<typeof journalSchema>["entries"][number];

const journalFile = "meta/_journal.json";

/** Where the hashes of committed migrations are kept, so that an edit is noticed without a database and git. */
export const hashesFile = "_hashes.json";

/** Where they were kept before. `drizzle-kit up` deletes that folder. */
const oldHashesFile = "meta/_hashes.json";

/** A folder of migrations as drizzle-kit writes it. */
export interface MigrationFolder {
  readonly path: string;
  /** `journal` is that of drizzle-kit 0.31; 1.0 has a folder for each migration. */
  readonly layout: "journal" | "folders";
  readonly entries: readonly JournalEntry[];
  /** SQL files that belong to no migration. */
  readonly strays: readonly string[];
  /** Text of the SQL files, by tag. */
  readonly sql: ReadonlyMap<string, string>;
  /** Text of the snapshots, by path of the file. */
  readonly snapshots: ReadonlyMap<string, string>;
  readonly hashes: Readonly<Record<string, string>>;
}

/** The file of a migration's SQL, relative to the folder. */
export function sqlFile({ layout }: Pick<MigrationFolder, "layout">, tag: string): string {
  return layout === "journal" ? `${tag}.sql` : `${tag}/migration.sql`;
}

/** The file of a migration's snapshot, relative to the folder. */
export function snapshotFile({ layout }: Pick<MigrationFolder, "layout">, tag: string): string {
  return layout === "journal"
    ? `meta/${tag.split("_", 1)[0] ?? ""}_snapshot.json`
    : `${tag}/snapshot.json`;
}

const twoLayouts: MigrationProblem = {
  code: "LAYOUT_OF_OTHER_VERSION",
  file: journalFile,
  message:
    "the folder has migrations in the layouts of drizzle-kit 0.31 and 1.0: a merge brought one back",
  remedy:
    "delete meta/ and the .sql files beside it, and generate what they changed again; if most migrations are in that " +
    "layout, restore the folder and run `drizzle-kit up`",
};

/** @throws {InvalidArgumentError} if `path` is not a folder. */
export async function readMigrationFolder(
  path: string,
): Promise<{ readonly folder: MigrationFolder; readonly problems: MigrationProblem[] }> {
  const names = (await readNames(path)).toSorted();
  const read = (name: string) => readFile(join(path, name), "utf8").catch(() => null);
  const metaNames = await readdir(join(path, "meta")).catch((): string[] => []);
  const tags: string[] = [];
  for (const name of names) {
    const files = await readdir(join(path, name)).catch((): string[] => []);
    if (files.includes("migration.sql") || files.includes("snapshot.json")) tags.push(name);
  }
  const sqlFiles = names.filter((name) => name.endsWith(".sql"));
  const isEmpty = [...tags, ...sqlFiles, ...metaNames].length === 0;
  const hasJournal = metaNames.includes("_journal.json");
  const isOf1 = isEmpty ? isDrizzle1 : tags.length > 0 && !hasJournal;
  const layout = isOf1 ? "folders" : "journal";
  /** The texts of the files that exist. */
  const texts = async (keys: readonly string[], fileOf: (key: string) => string) => {
    const found = new Map<string, string>();
    for (const key of keys) {
      const text = await read(fileOf(key));
      if (text !== null) found.set(key, text);
    }
    return found;
  };
  const sqlTags =
    layout === "folders" ? tags : sqlFiles.map((name) => name.slice(0, -".sql".length));
  const sql = await texts(sqlTags, (tag) => sqlFile({ layout }, tag));
  const snapshotFiles =
    layout === "folders"
      ? tags.map((tag) => snapshotFile({ layout }, tag))
      : metaNames
          .filter((name) => name.endsWith("_snapshot.json"))
          .toSorted()
          .map((name) => `meta/${name}`);
  const snapshots = await texts(snapshotFiles, (file) => file);
  const problems: MigrationProblem[] = tags.length > 0 && hasJournal ? [twoLayouts] : [];
  const sqlTexts = [...sql].map(([tag, text]) => [sqlFile({ layout }, tag), text] as const);
  const allTexts = new Map([...sqlTexts, ...snapshots]);
  const parse = <T>(file: string, text: string | null, schema: z.ZodMiniType<T>): T | null => {
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    problems.push(unreadable(file, text, allTexts));
    return null;
  };
  const entries =
    layout === "folders"
      ? tags.map((tag, idx) => ({ tag, idx, when: Number(/^\d{14}/.exec(tag)?.[0] ?? 0) }))
      : isEmpty
        ? []
        : (parse(journalFile, await read(journalFile), journalSchema)?.entries ?? []);
  const files = new Set(entries.map(({ tag }) => sqlFile({ layout }, tag)));
  const strays = sqlFiles.filter((name) => !files.has(name));
  const current = await read(hashesFile);
  const old = current ?? (await read(oldHashesFile));
  const file = current === null ? oldHashesFile : hashesFile;
  const recorded = old === null ? {} : (parse(file, old, hashesSchema) ?? {});
  const hashes = layout === "folders" ? renamed(recorded, tags) : recorded;
  for (const [index, { tag }] of entries.entries()) {
    if (entries.findIndex((each) => each.tag === tag) === index) continue;
    const message = `${journalFile} has two entries for ${tag}, which would be applied twice`;
    const remedy = "remove one of them";
    problems.push({ code: "JOURNAL_UNREADABLE", file: journalFile, message, remedy });
  }
  for (const [name, text] of sqlTexts) {
    if (!hasConflict(text)) continue;
    const message = `${name} has the conflict markers of a merge`;
    const remedy =
      "keep the side that databases have applied, and generate a migration for the other";
    problems.push({ code: "SQL_UNREADABLE", file: name, message, remedy });
  }
  return { folder: { path, layout, entries, strays, sql, snapshots, hashes }, problems };
}

async function readNames(path: string): Promise<string[]> {
  return readdir(path).catch((error: unknown) => {
    throw new InvalidArgumentError(
      { argument: "folder", reason: "is not a folder that can be read" },
      { cause: error },
    );
  });
}

/** Hashes by the names that `drizzle-kit up` gave the migrations: `0001_add` becomes `20260131120000_add`. */
function renamed(
  hashes: Readonly<Record<string, string>>,
  tags: readonly string[],
): Record<string, string> {
  const known = new Set(tags);
  const left = tags.filter((tag) => !Object.hasOwn(hashes, tag));
  return Object.fromEntries(
    Object.entries(hashes)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([tag, hash]) => {
        // `up` replaces the text before the first underscore by a time, even if it is not a number or all of it.
        const name = tag.split("_").slice(1).join("_");
        const index = left.findIndex((each) => each.slice("20260131120000_".length) === name);
        const [found] = known.has(tag) || index < 0 ? [tag] : left.splice(index, 1);
        return [found ?? tag, hash] as const;
      }),
  );
}

function unreadable(
  file: string,
  text: string | null,
  files: ReadonlyMap<string, string>,
): MigrationProblem {
  const code = "JOURNAL_UNREADABLE";
  if (text === null || !hasConflict(text)) {
    const message = `${file} is ${text === null ? "missing" : "not what drizzle-kit writes"}`;
    return { code, file, message, remedy: "restore it from version control" };
  }
  const message = `${file} has the conflict markers of a merge`;
  if (file === journalFile) return { code, file, message, remedy: mergeSteps(text, files) };
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
  await rm(join(path, oldHashesFile), { force: true });
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
