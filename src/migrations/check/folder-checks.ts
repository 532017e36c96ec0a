import * as z from "zod/mini";
import {
  hashesFile,
  hashOf,
  parseJson,
  snapshotFile,
  sqlFile,
  type MigrationFolder,
} from "./migration-folder.ts";
import { combineBranches, graphSnapshotSchema, type GraphSnapshot } from "./branches.ts";
import { hasConflict } from "./merge-conflicts.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { statementsOf } from "../../sql-tokens.ts";
import { chunksOf } from "../sql-statements.ts";

const restore = "restore the file from version control";
const generateAgain = "delete the later migration and generate it again";

/** Checks the files of the folder against each other, without the schema. */
export function checkFolder(folder: MigrationFolder): MigrationProblem[] {
  return [
    ...checkJournal(folder),
    ...(folder.layout === "journal" ? checkSnapshots(folder) : checkSnapshotGraph(folder)),
    ...checkHashes(folder),
    ...[...folder.sql].flatMap(([tag, sql]) => checkStatements(sqlFile(folder, tag), sql)),
  ];
}

function checkJournal(folder: MigrationFolder): MigrationProblem[] {
  const { entries, sql, strays } = folder;
  const isJournal = folder.layout === "journal";
  return [
    ...strays.map((file) => ({
      code: "SQL_NOT_IN_JOURNAL" as const,
      file,
      message: `${file} is not in ${isJournal ? "the journal" : "the folder of a migration"}: a migrator skips it silently`,
      remedy: `make it with \`drizzle-kit generate --custom\`${isJournal ? ", or restore its entry in meta/_journal.json" : ""}`,
    })),
    ...entries.flatMap(({ tag, when }, index) => {
      const problems: MigrationProblem[] = [];
      const file = sqlFile(folder, tag);
      if (!sql.has(tag)) {
        problems.push({
          code: "SQL_MISSING",
          file,
          message: isJournal
            ? `${file} is in the journal, and is missing`
            : `${file} is missing beside its snapshot: a migrator skips the folder silently`,
          remedy: restore,
        });
      }
      const before = entries[index - 1];
      // Drizzle 1.0 applies every missing migration, and sorts them by the time in the name.
      const isOutOfOrder = isJournal ? before !== undefined && when <= before.when : when === 0;
      if (isOutOfOrder) {
        problems.push({
          code: "WHEN_NOT_INCREASING",
          file: isJournal ? "meta/_journal.json" : file,
          message: isJournal
            ? `${tag} is not later than ${before?.tag}: a database that has the one skips the other silently`
            : `${tag} does not begin with a time: it has no place in the order`,
          remedy: generateAgain,
        });
      }
      return problems;
    }),
  ];
}

const snapshotSchema = z.object({
  id: z.string(),
  prevId: z.string(),
  tables: z._default(
    z.record(
      z.string(),
      z.object({
        columns: z.record(z.string(), z.object({ generated: z.optional(z.unknown()) })),
      }),
    ),
    {},
  ),
});
type Snapshot = z.output<typeof snapshotSchema>;
const originId = "00000000-0000-0000-0000-000000000000";

/** The snapshot; null if it is missing or invalid, after a call of `report`. */
function readSnapshot<T>(
  file: string,
  text: string | undefined,
  schema: z.ZodMiniType<T>,
  report: (problem: MigrationProblem) => void,
): T | null {
  if (text === undefined) {
    report({ code: "SNAPSHOT_MISSING", file, message: `${file} is missing`, remedy: restore });
    return null;
  }
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const isConflict = hasConflict(text);
  report({
    code: "SNAPSHOT_UNREADABLE",
    file,
    message: `${file} ${isConflict ? "has the conflict markers of a merge" : "is not what drizzle-kit writes"}`,
    remedy: isConflict
      ? "keep the side whose migration the journal names; generate what the other side changed again"
      : restore,
  });
  return null;
}

/** In the layout of drizzle-kit 1.0 a snapshot may follow several: those of branches that were merged. */
function checkSnapshotGraph(folder: MigrationFolder): MigrationProblem[] {
  const problems: MigrationProblem[] = [];
  // `drizzle-kit up` keeps the empty parent of a first snapshot that `pull` of 0.31 wrote.
  const known = new Set([originId, ""]);
  const snapshots: GraphSnapshot[] = [];
  const files = new Map<string, string>();
  let isComplete = true;
  for (const { tag } of folder.entries) {
    const file = snapshotFile(folder, tag);
    const snapshot = readSnapshot(
      file,
      folder.snapshots.get(file),
      graphSnapshotSchema,
      (problem) => problems.push(problem),
    );
    if (snapshot === null) {
      isComplete = false;
      continue;
    }
    if (isComplete && snapshot.prevIds.some((id) => !known.has(id))) {
      problems.push({
        code: "SNAPSHOT_CHAIN_BROKEN",
        file,
        message: `${file} follows a snapshot that is not before it: one was deleted or replaced`,
        remedy: "restore the folder from version control",
      });
    }
    const parents = snapshots.filter(({ id }) => snapshot.prevIds.includes(id));
    problems.push(...checkChangedIndexes(folder, tag, snapshot, parents));
    known.add(snapshot.id);
    snapshots.push(snapshot);
    files.set(snapshot.id, file);
  }
  if (!isComplete || problems.length > 0) return problems;
  for (const id of combineBranches(snapshots).conflicting) {
    const file = files.get(id) ?? id;
    problems.push({
      code: "SNAPSHOT_CHAIN_BROKEN",
      file,
      message: `${file} changes a table that another branch changes too: two branches generated migrations side by side`,
      remedy: generateAgain,
    });
  }
  return problems;
}

const indexSchema = z.object({
  entityType: z.literal("indexes"),
  table: z.string(),
  name: z.string(),
  columns: z.array(z.object({ value: z.string(), isExpression: z.boolean() })),
  isUnique: z.boolean(),
  where: z.nullable(z.string()),
});

type Index = z.output<typeof indexSchema>;

/** drizzle-kit 1.0 writes the new definition of an existing index to the snapshot, but no SQL for it. */
function checkChangedIndexes(
  folder: MigrationFolder,
  tag: string,
  { ddl, renames }: GraphSnapshot,
  parents: readonly GraphSnapshot[],
): MigrationProblem[] {
  const before = parents.map((parent) => indexesOf(parent.ddl, renames));
  const created = createdIndexes(folder.sql.get(tag) ?? "");
  const file = sqlFile(folder, tag);
  return [...indexesOf(ddl)].flatMap(([name, index]) => {
    const old = before.flatMap((indexes) => indexes.get(name) ?? []);
    const isUnchanged = old.some((each) => effectOf(each) === effectOf(index));
    if (old.length === 0 || isUnchanged || created.has(name.toLowerCase())) return [];
    return [
      {
        code: "SQL_INCOMPLETE" as const,
        file,
        message: `${file} leaves index ${name} unchanged, and its definition has changed: drizzle-kit 1.0 writes no SQL for that`,
        remedy: `add to it, each after a breakpoint: DROP INDEX \`${name}\`; ${definitionOf(index)};`,
      },
    ];
  });
}

/** The indexes by name, after `renames` of tables and columns, which SQLite applies to its indexes. */
function indexesOf(
  ddl: GraphSnapshot["ddl"],
  renames: readonly string[] = [],
): ReadonlyMap<string, Index> {
  return new Map(
    ddl.flatMap((entity) => {
      const { data: index } = indexSchema.safeParse(entity);
      return index === undefined ? [] : [[index.name, renames.reduce(rename, index)] as const];
    }),
  );
}

/** A rename is `table->table` or `table.column->table.column`, after `drizzle-kit up` with quotes. */
function rename(index: Index, text: string): Index {
  const [from = [], to = []] = text
    .replaceAll('"', "")
    .split("->")
    .map((name) => name.split("."));
  const [old, current] = [from.at(-1), to.at(-1)];
  if (from[0] !== index.table || old === undefined || current === undefined) return index;
  const isTable = from.length === 1;
  const inSql = (sql: string) =>
    sql
      .split(/([\p{L}\p{N}_$]+)/u)
      .map((word, place, all) => {
        const isName = word === old && (!isTable || /^["`\]]?\./.test(all[place + 1] ?? ""));
        return isName ? current : word;
      })
      .join("");
  return {
    ...index,
    table: isTable ? current : index.table,
    columns: index.columns.map((each) => ({
      ...each,
      value: each.value === old && !isTable ? current : inSql(each.value),
    })),
    where: index.where === null ? null : inSql(index.where),
  };
}

/** A text that is equal for equal indexes. `drizzle-kit up` marks expressions as columns. */
function effectOf({ table, columns, isUnique, where }: Index): string {
  return JSON.stringify([table, columns.map(({ value }) => value), isUnique, where]);
}

function definitionOf({ table, name, columns, isUnique, where }: Index): string {
  const parts = columns.map(({ value, isExpression }) => (isExpression ? value : `\`${value}\``));
  const condition = where === null ? "" : ` WHERE ${where}`;
  return `CREATE ${isUnique ? "UNIQUE INDEX" : "INDEX"} \`${name}\` ON \`${table}\` (${parts.join(",")})${condition}`;
}

/** The names of the indexes that SQL creates, in lower case. */
function createdIndexes(sql: string): ReadonlySet<string> {
  const creates = /\bcreate\s+(?:unique\s+)?index\s+(?:if\s+not\s+exists\s+)?([^(]*?)\s+on\b/gi;
  return new Set(
    [...sql.matchAll(creates)].map(([, name = ""]) =>
      name.replaceAll(/["`[\]]/g, "").toLowerCase(),
    ),
  );
}

function checkSnapshots(folder: MigrationFolder): MigrationProblem[] {
  const { entries, snapshots } = folder;
  /** Null after a missing snapshot, whose successors cannot be checked. */
  let previous: Pick<Snapshot, "id" | "tables"> | null = { id: originId, tables: {} };
  const prevIds = new Set<string>();
  return entries.flatMap(({ tag }, index): MigrationProblem[] => {
    const file = snapshotFile(folder, tag);
    const problems: MigrationProblem[] = [];
    const snapshot = readSnapshot(file, snapshots.get(file), snapshotSchema, (problem) =>
      problems.push(problem),
    );
    const before: Pick<Snapshot, "id" | "tables"> | null = previous;
    previous = snapshot;
    if (snapshot === null) return problems;
    const { prevId } = snapshot;
    const isSibling = prevIds.has(prevId);
    prevIds.add(prevId);
    // `drizzle-kit pull` leaves it empty in its first snapshot.
    const follows = before === null || prevId === before.id || (index === 0 && prevId === "");
    if (follows) {
      const sql = folder.sql.get(tag) ?? "";
      const rebuilds = checkRebuilds(sqlFile(folder, tag), sql, before);
      return rebuilds.concat(checkQuotedExpressions(sqlFile(folder, tag), sql, snapshot));
    }
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

/**
 * A rebuild by drizzle-kit 0.31 also copies the columns that it adds. Their quoted names are not columns of the old table,
 * so SQLite takes them for strings.
 */
function checkRebuilds(
  file: string,
  sql: string,
  before: Pick<Snapshot, "tables"> | null,
): MigrationProblem[] {
  const copies = /INSERT INTO `__new_([^`]+)`\(.*?\) SELECT (.*?) FROM `\1`/g;
  return [...sql.matchAll(copies)].flatMap(([, table = "", selected = ""]) => {
    const columns = before?.tables[table]?.columns;
    const copied = [...selected.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name);
    const isNew = (name: string) =>
      columns !== undefined &&
      (columns[name] === undefined || Boolean(columns[name].generated)) &&
      !sql.includes(` ADD \`${name}\``) &&
      !sql.includes(` TO \`${name}\``);
    const added = copied.filter(isNew);
    if (added.length === 0) return [];
    return [
      {
        code: "SQL_INCORRECT" as const,
        file,
        message: `${file} copies ${added.join(", ")} of the old table ${table}, which does not have them: drizzle-kit writes this when it rebuilds a table and adds a column, and SQLite then stores the names as text, or fails`,
        remedy: `remove them from both lists of INSERT INTO \`__new_${table}\`, and record the migration again`,
      },
    ];
  });
}

/** drizzle-kit 0.31 quotes the expressions of an index that it creates again, for example after a rebuild. */
function checkQuotedExpressions(
  file: string,
  sql: string,
  { tables }: Pick<Snapshot, "tables">,
): MigrationProblem[] {
  const indexes = /CREATE (?:UNIQUE )?INDEX `([^`]+)` ON `([^`]+)` \((`[^`]*`(?:,`[^`]*`)*)\)/g;
  return [...sql.matchAll(indexes)].flatMap(([, index = "", table = "", parts = ""]) => {
    const columns = tables[table]?.columns ?? {};
    const quoted = parts
      .split(/(?<=`),/)
      .find((part) => part.includes("(") && columns[part.slice(1, -1)] === undefined);
    if (quoted === undefined) return [];
    return [
      {
        code: "SQL_INCORRECT" as const,
        file,
        message: `${file} creates index ${index} on the column ${quoted}, which ${table} does not have: drizzle-kit writes this when it creates an index on an expression again, and SQLite refuses it`,
        remedy: `write ${quoted.slice(1, -1)} without the backticks, and record the migration again`,
      },
    ];
  });
}

function checkHashes(folder: MigrationFolder): MigrationProblem[] {
  const { entries, sql, hashes } = folder;
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
      file: sqlFile(folder, tag),
      message: `${tag} was committed, and the ${folder.layout === "journal" ? "journal" : "folder"} no longer has it`,
      remedy: restore,
    })),
    ...notRecorded(unrecorded.map(({ tag }) => sqlFile(folder, tag))),
    ...edited.map(({ tag }) => ({
      code: "MIGRATION_EDITED" as const,
      file: sqlFile(folder, tag),
      message: `${sqlFile(folder, tag)} was edited after it was recorded: databases that have it will not follow`,
      remedy:
        "restore it, and put the change into a new migration; if no commit and no database has it yet, " +
        `\`gorkflow check --record ${tag}\` records it again`,
    })),
  ];
}

/** One problem for all migrations, because an app without `_hashes.json` lacks every hash. */
function notRecorded(files: readonly string[]): MigrationProblem[] {
  const [only] = files;
  if (only === undefined) return [];
  const what =
    files.length === 1 ? `${only} has no hash` : `${files.length} migrations have no hash`;
  return [
    {
      code: "MIGRATION_NOT_RECORDED",
      file: files.length === 1 ? only : hashesFile,
      message: `${what} in ${hashesFile}, so a later edit would not be noticed`,
      remedy: `run \`gorkflow check --record\` once, and commit ${hashesFile}`,
    },
  ];
}

function checkStatements(file: string, sql: string): MigrationProblem[] {
  return chunksOf(sql).flatMap((chunk, index): MigrationProblem[] => {
    const statements = statementsOf(chunk).length;
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
