import { UnsupportedError } from "../../errors.ts";
import { parseJson, type MigrationFolder } from "./migration-folder.ts";
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
  { entries, snapshots }: MigrationFolder,
  casing?: Casing,
): Promise<MigrationProblem[]> {
  const [prefix] = entries.at(-1)?.tag.split("_", 1) ?? [];
  const last = parseJson(snapshots.get(`${prefix}_snapshot.json`) ?? null);
  // A missing or unreadable snapshot is reported separately.
  if (entries.length > 0 && last === undefined) return [];
  const definitions = definitionsIn(schema);
  const taken = findTakenNames(definitions);
  if (taken.length > 0) return taken;
  const { generateSQLiteDrizzleJson } = await loadKit();
  const current: unknown = await generateSQLiteDrizzleJson(
    Object.fromEntries(definitions.entries()),
    undefined,
    casing,
  );
  const differences = [
    ...compareSections(nodeOf(last)["tables"], nodeOf(current)["tables"], "table", describeTable),
    ...compareSections(nodeOf(last)["views"], nodeOf(current)["views"], "view", describeField),
  ];
  return differences.map((difference) => ({
    code: "SCHEMA_AHEAD",
    file: null,
    message: `the schema and the last migration differ: ${difference}`,
    remedy: "generate a migration, and commit it with the schema",
  }));
}

/** The API of drizzle-kit. It is an optional peer that a running app never needs. */
async function loadKit() {
  try {
    return await import("drizzle-kit/api");
  } catch (error) {
    throw new UnsupportedError(
      { feature: "checkMigrations", reason: "drizzle-kit is not installed" },
      { cause: error },
    );
  }
}

type Describe = (name: string, before: unknown, after: unknown) => string[];

function compareSections(
  before: unknown,
  after: unknown,
  kind: string,
  describe: Describe,
): string[] {
  const [old, current] = [nodeOf(before), nodeOf(after)];
  const names = [...new Set([...Object.keys(old), ...Object.keys(current)])].toSorted();
  return names.flatMap((name) => {
    if (!(name in old)) return [`${kind} ${name} was added`];
    if (!(name in current)) return [`${kind} ${name} was removed`];
    return sameJson(old[name], current[name]) ? [] : describe(name, old[name], current[name]);
  });
}

const tableSections = {
  columns: "column",
  indexes: "index",
  foreignKeys: "foreign key",
  compositePrimaryKeys: "primary key",
  uniqueConstraints: "unique constraint",
  checkConstraints: "check",
};

function describeTable(table: string, before: unknown, after: unknown): string[] {
  return Object.entries(tableSections).flatMap(([section, kind]) =>
    compareSections(
      nodeOf(before)[section],
      nodeOf(after)[section],
      `${kind} ${table}:`,
      (name, a, b) => describeField(`${kind} ${table}: ${name}`, a, b),
    ),
  );
}

function describeField(name: string, before: unknown, after: unknown): string[] {
  const [old, current] = [nodeOf(before), nodeOf(after)];
  const fields = [...new Set([...Object.keys(old), ...Object.keys(current)])];
  const changed = fields.filter((field) => !sameJson(old[field], current[field]));
  return [`${name} has another ${changed.join(", ")}`];
}

function sameJson(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

/** JSON with sorted keys. The order of keys in a snapshot has no meaning; the order of columns in an array has. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

function nodeOf(value: unknown): Node {
  return typeof value === "object" && value !== null ? (value as Node) : {};
}
