import * as z from "zod";
import { hashesFile, hashOf, parseJson, type MigrationFolder } from "./migration-folder.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { chunksOf, countStatements } from "./sql-statements.ts";

const restore = "restore the file from version control";
const generateAgain = "delete the later migration and generate it again";

/** All that the files of the folder say of each other, without the schema. */
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
  let previousId = originId;
  return entries.flatMap(({ tag }): MigrationProblem[] => {
    const name = `${tag.split("_", 1)[0] ?? ""}_snapshot.json`;
    const file = `meta/${name}`;
    const text = snapshots.get(name);
    if (text === undefined) {
      return [{ code: "SNAPSHOT_MISSING", file, message: `${file} is missing`, remedy: restore }];
    }
    const parsed = snapshotSchema.safeParse(parseJson(text));
    if (!parsed.success) {
      const message = `${file} is not what drizzle-kit writes`;
      return [{ code: "SNAPSHOT_UNREADABLE", file, message, remedy: restore }];
    }
    const expectedId = previousId;
    previousId = parsed.data.id;
    if (parsed.data.prevId === expectedId) return [];
    return [
      {
        code: "SNAPSHOT_CHAIN_BROKEN",
        file,
        message: `${file} does not follow the snapshot before it: two branches generated migrations side by side`,
        remedy: generateAgain,
      },
    ];
  });
}

function checkHashes({ entries, sql, hashes }: MigrationFolder): MigrationProblem[] {
  const tags = new Set(entries.map(({ tag }) => tag));
  const removed = Object.keys(hashes).filter((tag) => !tags.has(tag));
  return [
    ...removed.map((tag) => ({
      code: "MIGRATION_REMOVED" as const,
      file: `${tag}.sql`,
      message: `${tag} was committed, and the journal no longer has it`,
      remedy: restore,
    })),
    ...entries.flatMap(({ tag }): MigrationProblem[] => {
      const text = sql.get(tag);
      if (text === undefined) return [];
      const hash = hashes[tag];
      if (hash === undefined) {
        return [
          {
            code: "MIGRATION_NOT_RECORDED",
            file: `${tag}.sql`,
            message: `${tag}.sql has no hash in ${hashesFile}, so a later edit would not be noticed`,
            remedy: "record it when the migration is committed: `gorkflow check --record`",
          },
        ];
      }
      if (hash === hashOf(text)) return [];
      return [
        {
          code: "MIGRATION_EDITED",
          file: `${tag}.sql`,
          message: `${tag}.sql was edited after it was committed: databases that have it will not follow`,
          remedy: "restore it, and put the change into a new migration",
        },
      ];
    }),
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
