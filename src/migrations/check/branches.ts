import * as z from "zod/mini";

/** A snapshot of drizzle-kit 1.0. It may follow several: those of branches that were merged. */
export const graphSnapshotSchema = z.object({
  id: z.string(),
  prevIds: z.array(z.string()).check(z.minLength(1)),
  ddl: z.array(z.record(z.string(), z.unknown())),
  renames: z._default(z.array(z.string()), []),
});

export type GraphSnapshot = z.output<typeof graphSnapshotSchema>;
type Entity = GraphSnapshot["ddl"][number];

interface Combined {
  /** The schema after all migrations. */
  readonly ddl: readonly Entity[];
  /** Ids of the snapshots at the end of branches that change a table in ways that may depend on the order. */
  readonly conflicting: readonly string[];
}

/**
 * Combines branches that generated migrations side by side. Like drizzle-kit 1.0, it accepts branches that change
 * different tables, or only add columns and indexes to the same table.
 */
export function combineBranches(snapshots: readonly GraphSnapshot[]): Combined {
  const followed = new Set(snapshots.flatMap(({ prevIds }) => prevIds));
  const ends = snapshots.filter(({ id }) => !followed.has(id));
  const histories = ends.map((end) => historyOf(end, snapshots));
  const fork = snapshots.findLast(({ id }) => histories.every((history) => history.has(id)));
  const before = byKey(fork?.ddl ?? []);
  const combined = new Map(before);
  const tables = new Map<string, { readonly end: string; readonly isAddition: boolean }>();
  const added = new Set<string>();
  const conflicting = new Set<string>();
  for (const { id, ddl } of ends) {
    const after = byKey(ddl);
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [old, current] = [before.get(key), after.get(key)];
      if (JSON.stringify(old) === JSON.stringify(current)) continue;
      const { entityType, table, name } = (current ?? old) as Readonly<Record<string, string>>;
      const isAddition =
        old === undefined && (entityType === "columns" || entityType === "indexes");
      const other = tables.get(table ?? name ?? "");
      const isOfOther = other !== undefined && other.end !== id;
      if (isOfOther && !(isAddition && other.isAddition && !added.has(key))) conflicting.add(id);
      added.add(key);
      if (!isOfOther) {
        tables.set(table ?? name ?? "", {
          end: id,
          isAddition: isAddition && (other?.isAddition ?? true),
        });
      }
      if (current === undefined) combined.delete(key);
      else combined.set(key, current);
    }
  }
  return { ddl: [...combined.values()], conflicting: [...conflicting] };
}

function historyOf(end: GraphSnapshot, snapshots: readonly GraphSnapshot[]): ReadonlySet<string> {
  const byId = new Map(snapshots.map((each) => [each.id, each]));
  const found = new Set<string>();
  const left = [end.id];
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    left.push(...(byId.get(id)?.prevIds ?? []));
  }
  return found;
}

function byKey(ddl: readonly Entity[]): Map<string, Entity> {
  return new Map(
    ddl.map((entity) => [
      JSON.stringify([entity["entityType"], entity["table"], entity["name"]]),
      entity,
    ]),
  );
}
