import * as z from "zod/mini";
import { InvalidArgumentError, UnsupportedError } from "../../errors.ts";
import { combineBranches, graphSnapshotSchema } from "./branches.ts";
import { parseJson, snapshotFile, type MigrationFolder } from "./migration-folder.ts";
import type { MigrationProblem } from "./migration-problems.ts";
import { definitionsIn, findTakenNames } from "./schema-names.ts";

/** How Drizzle derives the names of columns without an explicit one. */
export type Casing = "snake_case" | "camelCase";

type Node = Readonly<Record<string, unknown>>;

/**
 * The differences between the schema and the last snapshot, for which `drizzle-kit generate` would write a migration.
 *
 * `drizzle-kit check` does not read the schema. `generate` without a terminal exits with 0 and writes nothing if it would
 * have to ask about a rename. Therefore drizzle-kit's API makes a snapshot of the schema, which is compared here.
 */
export async function findSchemaDrift(
  schema: Readonly<Record<string, unknown>>,
  folder: MigrationFolder,
  casing?: Casing,
): Promise<MigrationProblem[]> {
  const tag = folder.entries.at(-1)?.tag;
  const last = tag === undefined ? {} : lastState(folder, tag);
  // A missing or unreadable snapshot is reported separately.
  if (last === undefined) return [];
  const definitions = definitionsIn(schema);
  const taken = findTakenNames(definitions);
  if (taken.length > 0) return taken;
  const kit = await loadKit();
  if (tag !== undefined && kit.layout !== folder.layout) return [layoutOfOtherVersion(kit.layout)];
  const current = await kit
    .snapshotOf(Object.fromEntries(definitions.entries()), casing)
    .catch((error: unknown) => {
      const reason = `is refused by drizzle-kit: ${error instanceof Error ? error.message : String(error)}`;
      throw new InvalidArgumentError({ argument: "schema", reason }, { cause: error });
    });
  const [before, after] = [nodeOf(last), nodeOf(current)];
  const differences =
    kit.layout === "journal"
      ? compareEntities(nestedEntities(before), nestedEntities(after))
      : compareEntities(listedEntities(before), listedEntities(keepNames(before, after)));
  return differences.map((difference) => ({
    code: "SCHEMA_AHEAD",
    file: null,
    message: `the schema and the last migration differ: ${difference}`,
    remedy:
      kit.layout === "folders" && /^index .* has another /.test(difference)
        ? "drizzle-kit 1.0 writes no SQL for a changed index: give it another name, and generate a migration"
        : "generate a migration, and commit it with the schema",
  }));
}

/** The last snapshot, with the changes of branches beside it. */
function lastState(folder: MigrationFolder, last: string): unknown {
  const read = (tag: string) => parseJson(folder.snapshots.get(snapshotFile(folder, tag)) ?? null);
  if (folder.layout === "journal") return read(last);
  const all = z.array(graphSnapshotSchema).safeParse(folder.entries.map(({ tag }) => read(tag)));
  return all.success ? combineBranches(all.data) : read(last);
}

function layoutOfOtherVersion(installed: MigrationFolder["layout"]): MigrationProblem {
  const code = "LAYOUT_OF_OTHER_VERSION";
  return installed === "journal"
    ? {
        code,
        file: null,
        message: "drizzle-kit 1.0 wrote the folder, and an earlier version is installed",
        remedy: "install drizzle-kit 1.0",
      }
    : {
        code,
        file: "meta/_journal.json",
        message: "the folder has the layout of drizzle-kit 0.31, which the installed 1.0 refuses",
        remedy: "run `drizzle-kit up`, then `gorkflow check --record`, and commit what both write",
      };
}

interface Kit {
  readonly layout: MigrationFolder["layout"];
  snapshotOf(schema: Record<string, unknown>, casing: Casing | undefined): Promise<unknown>;
}

type Snapshot = (schema: object, previous?: string, casing?: Casing) => Promise<unknown>;

/** The API of drizzle-kit, an optional peer: what a running app never needs is not loaded there. */
async function loadKit(): Promise<Kit> {
  const kit0 = await load("drizzle-kit/api");
  if (kit0 !== null) {
    const snapshotOf = kit0["generateSQLiteDrizzleJson"] as Snapshot;
    return {
      layout: "journal",
      snapshotOf: (schema, casing) => snapshotOf(schema, undefined, casing),
    };
  }
  const kit1 = await load("drizzle-kit/payload/sqlite");
  if (kit1 !== null) {
    const snapshotOf = kit1["generateDrizzleJson"] as Snapshot;
    return { layout: "folders", snapshotOf: (schema) => snapshotOf(schema) };
  }
  throw new UnsupportedError({
    feature: "checkMigrations",
    reason: "drizzle-kit is not installed",
  });
}

/**
 * Null if the module is not there. Its name is a parameter so that bundlers do not look for the one of another version.
 *
 * @throws {UnsupportedError} if it is there and cannot be loaded.
 */
async function load(name: string): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as Record<
      string,
      unknown
    >;
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    const isMissing = code === "ERR_MODULE_NOT_FOUND" || code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
    // drizzle-kit itself is there, and misses a module of another drizzle-orm.
    const isOfOrm = /node_modules[\\/]drizzle-orm[\\/]|package 'drizzle-orm'/.test(message);
    if (isMissing && !isOfOrm) return null;
    // The module of some versions calls `require`, which modules do not have.
    if (message.startsWith("Dynamic require of")) {
      // Not at the top, because the configuration of many bundlers declares this name there.
      const { createRequire } = await import("node:module");
      return createRequire(import.meta.url)(name) as Record<string, unknown>;
    }
    const reason = `${name} cannot be loaded: drizzle-kit 1.0 needs drizzle-orm 1.0, and 0.31 needs 0.45`;
    throw new UnsupportedError({ feature: "checkMigrations", reason }, { cause: error });
  }
}

const entityKinds: Readonly<Record<string, string>> = {
  tables: "table",
  columns: "column",
  pks: "primary key",
  fks: "foreign key",
  indexes: "index",
  uniques: "unique constraint",
  checks: "check",
  views: "view",
};

/** By a name with its kind, such as `column orders: id`. Those of a table have it as `table`. */
type Entities = ReadonlyMap<string, Node>;

function compareEntities(old: Entities, current: Entities): string[] {
  /** Parts of a table that was added or removed are not listed. */
  const isKnown = (table: unknown) =>
    typeof table !== "string" || (old.has(`table ${table}`) && current.has(`table ${table}`));
  const names = [...new Set([...old.keys(), ...current.keys()])].toSorted();
  return names.flatMap((name) => {
    const [before, after] = [old.get(name), current.get(name)];
    if (!isKnown((before ?? after)?.["table"])) return [];
    if (before === undefined) return [`${name} was added`];
    if (after === undefined) return [`${name} was removed`];
    const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const changed = fields.filter((field) => canonical(before[field]) !== canonical(after[field]));
    return changed.length === 0 ? [] : [`${name} has another ${changed.join(", ")}`];
  });
}

const sections = {
  columns: "column",
  indexes: "index",
  foreignKeys: "foreign key",
  compositePrimaryKeys: "primary key",
  uniqueConstraints: "unique constraint",
  checkConstraints: "check",
};

/** The entities of drizzle-kit 0.31, which nests them. */
function nestedEntities({ tables, views }: Node): Entities {
  const entities = new Map<string, Node>();
  for (const [table, parts] of Object.entries(nodeOf(tables))) {
    entities.set(`table ${table}`, {});
    for (const [section, kind] of Object.entries(sections)) {
      for (const [name, part] of Object.entries(nodeOf(nodeOf(parts)[section]))) {
        entities.set(`${kind} ${table}: ${name}`, Object.assign({ table }, part));
      }
    }
  }
  for (const [name, view] of Object.entries(nodeOf(views))) {
    entities.set(`view ${name}`, nodeOf(view));
  }
  return entities;
}

/**
 * The current entities with the old names of keys and constraints whose name the app does not give. Drizzle 1.0 derives
 * them differently from 0.45, and from the names of tables and columns, and drizzle-kit keeps the old ones.
 */
function keepNames(old: Node, current: Node): Node {
  const isDerived = ({ entityType, nameExplicit }: Node) =>
    ["pks", "fks", "uniques"].includes(String(entityType)) && nameExplicit !== true;
  const shapeOf = (entity: Node) => canonical({ ...entity, name: null });
  const names = new Map(
    listOf(old)
      .filter(isDerived)
      .map((entity) => [shapeOf(entity), entity["name"]]),
  );
  const ddl = listOf(current).map((entity) => {
    const name = isDerived(entity) ? names.get(shapeOf(entity)) : undefined;
    return name === undefined ? entity : Object.assign({}, entity, { name });
  });
  return { ddl };
}

function listOf({ ddl }: Node): Node[] {
  return (Array.isArray(ddl) ? ddl : []).map(nodeOf);
}

/** The entities of drizzle-kit 1.0, which lists them. */
function listedEntities(snapshot: Node): Entities {
  const entities = listOf(snapshot).map((entity): [string, Node] => {
    const { entityType, table, name } = entity as Readonly<Record<string, string>>;
    const kind = entityKinds[entityType ?? ""] ?? entityType;
    const parts = entityType === "indexes" ? { columns: valuesOf(entity["columns"]) } : {};
    // `up` cannot know whether a name was given to anything else.
    return [
      `${kind} ${table === undefined ? "" : `${table}: `}${name}`,
      { ...entity, ...parts, nameExplicit: null },
    ];
  });
  return new Map(entities);
}

/** The columns and expressions of an index. `up` marks expressions as columns. */
function valuesOf(columns: unknown): unknown {
  return Array.isArray(columns) ? columns.map((each) => nodeOf(each)["value"]) : columns;
}

/** JSON with sorted keys. The order of keys in a snapshot has no meaning; the order of columns in an array has. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    // A default of drizzle-kit 0.31, which JSON cannot hold.
    if (typeof each === "bigint") return String(each);
    return typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each;
  });
}

function nodeOf(value: unknown): Node {
  return typeof value === "object" && value !== null ? (value as Node) : {};
}
