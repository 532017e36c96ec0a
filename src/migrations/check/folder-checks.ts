import * as z from "zod";
import { hashesFile, hashOf, parseJson, type MigrationFolder } from "./migration-folder.ts";
import { hasConflict } from "./merge-conflicts.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { chunksOf, countStatements } from "../sql-statements.ts";

const restore = "restore the file from version control";
const generateAgain = "delete the later migration and generate it again";

/** Checks the files of the folder against each other, without the schema. */
export function checkFolder(folder: MigrationFolder): MigrationProblem[] {
  return [
    ...checkJournal(folder),
    ...checkSnapshots(folder),
    ...checkHashes(folder),
    ...[...folder.sql].flatMap(([tag, sql]) => checkStatements(tag, sql)),
  ];
}

function checkJournal({ entries, sql }: MigrationFolder): MigrationProblem[] {
  const tags = new Set(entries.map(({ tag }) => tag));
  const unjournaled = [...sql.keys()].filter((tag) => !tags.has(tag));
  return [
    ...unjournaled.map((tag) => ({
      code: "SQL_NOT_IN_JOURNAL" as const,
      file: `${tag}.sql`,
      message: `${tag}.sql is not in the journal: a migrator skips it, in silence`,
      remedy:
        "make it with `drizzle-kit generate --custom`, or restore its entry in meta/_journal.json",
    })),
    ...entries.flatMap(({ tag, when }, index) => {
      const problems: MigrationProblem[] = [];
      if (!sql.has(tag)) {
        problems.push({
          code: "SQL_MISSING",
          file: `${tag}.sql`,
          message: `${tag}.sql is in the journal, and is missing`,
          remedy: restore,
        });
      }
      const before = entries[index - 1];
      if (before !== undefined && when <= before.when) {
        problems.push({
          code: "WHEN_NOT_INCREASING",
          file: "meta/_journal.json",
          message: `${tag} is not later than ${before.tag}: a database that has the one skips the other, in silence`,
          remedy: generateAgain,
        });
      }
      return problems;
    }),
  ];
}

const snapshotSchema = z.object({ id: z.string(), prevId: z.string() });
const originId = "00000000-0000-0000-0000-000000000000";

function checkSnapshots({ entries, snapshots }: MigrationFolder): MigrationProblem[] {
  /** Null after a missing snapshot, whose successors cannot be checked. */
  let previousId: string | null = originId;
  const prevIds = new Set<string>();
  return entries.flatMap(({ tag }, index): MigrationProblem[] => {
    const name = `${tag.split("_", 1)[0] ?? ""}_snapshot.json`;
    const file = `meta/${name}`;
    const text = snapshots.get(name);
    const parsed = snapshotSchema.safeParse(parseJson(text ?? null));
    const expectedId: string | null = previousId;
    previousId = parsed.success ? parsed.data.id : null;
    if (text === undefined) {
      return [{ code: "SNAPSHOT_MISSING", file, message: `${file} is missing`, remedy: restore }];
    }
    if (!parsed.success) {
      const isConflict = hasConflict(text);
      const what = isConflict
        ? "has the conflict markers of a merge"
        : "is not what drizzle-kit writes";
      const remedy = isConflict
        ? "keep the side whose migration the journal names; generate what the other side changed again"
        : restore;
      return [{ code: "SNAPSHOT_UNREADABLE", file, message: `${file} ${what}`, remedy }];
    }
    const { prevId } = parsed.data;
    const isSibling = prevIds.has(prevId);
    prevIds.add(prevId);
    // `drizzle-kit pull` leaves it empty in its first snapshot.
    const follows = prevId === expectedId || expectedId === null || (index === 0 && prevId === "");
    if (follows) return [];
    const problem = { code: "SNAPSHOT_CHAIN_BROKEN" as const, file };
    return isSibling
      ? [
          {
            ...problem,
            message: `${file} does not follow the snapshot before it: two branches generated migrations side by side`,
            remedy: generateAgain,
          },
        ]
      : [
          {
            ...problem,
            message: `${file} follows a snapshot that is not before it in the journal: one was deleted or replaced`,
            remedy: "restore meta/ from version control",
          },
        ];
  });
}

function checkHashes({ entries, sql, hashes }: MigrationFolder): MigrationProblem[] {
  const tags = new Set(entries.map(({ tag }) => tag));
  const removed = Object.keys(hashes).filter((tag) => !tags.has(tag));
  const written = entries.flatMap(({ tag }) => {
    const text = sql.get(tag);
    return text === undefined ? [] : [{ tag, hash: hashOf(text) }];
  });
  const unrecorded = written.filter(({ tag }) => !Object.hasOwn(hashes, tag));
  const edited = written.filter(
    ({ tag, hash }) => Object.hasOwn(hashes, tag) && hashes[tag] !== hash,
  );
  return [
    ...removed.map((tag) => ({
      code: "MIGRATION_REMOVED" as const,
      file: `${tag}.sql`,
      message: `${tag} was committed, and the journal no longer has it`,
      remedy: restore,
    })),
    ...notRecorded(unrecorded.map(({ tag }) => tag)),
    ...edited.map(({ tag }) => ({
      code: "MIGRATION_EDITED" as const,
      file: `${tag}.sql`,
      message: `${tag}.sql was edited after it was recorded: databases that have it will not follow`,
      remedy:
        "restore it, and put the change into a new migration; if no commit and no database has it yet, " +
        `\`gorkflow check --record ${tag}\` records it again`,
    })),
  ];
}

/** One problem for all migrations, because an app without `_hashes.json` lacks every hash. */
function notRecorded(tags: readonly string[]): MigrationProblem[] {
  const [only] = tags;
  if (only === undefined) return [];
  const what =
    tags.length === 1 ? `${only}.sql has no hash` : `${tags.length} migrations have no hash`;
  return [
    {
      code: "MIGRATION_NOT_RECORDED",
      file: tags.length === 1 ? `${only}.sql` : hashesFile,
      message: `${what} in ${hashesFile}, so a later edit would not be noticed`,
      remedy: `run \`gorkflow check --record\` once, and commit ${hashesFile}`,
    },
  ];
}

function checkStatements(tag: string, sql: string): MigrationProblem[] {
  const file = `${tag}.sql`;
  return chunksOf(sql).flatMap((chunk, index): MigrationProblem[] => {
    const statements = countStatements(chunk);
    if (statements === 1) return [];
    const where = `${file}, part ${index + 1}`;
    return statements === 0
      ? [
          {
            code: "STATEMENT_EMPTY",
            file,
            message: `${where} has no statement: drivers refuse to run it`,
            remedy: "remove the breakpoint beside it, or write the statement",
          },
        ]
      : [
          {
            code: "BREAKPOINT_MISSING",
            file,
            message: `${where} has ${statements} statements: only the first would run, and the migration would be recorded as applied`,
            remedy: "put `--> statement-breakpoint` between them",
          },
        ];
  });
}
