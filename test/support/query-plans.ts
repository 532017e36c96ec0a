import type { LocalClient, Statement } from "../../src/client/local-client.ts";

/** One scan or search of a table by a statement. */
export interface Walk {
  readonly table: string;
  /** Null if the statement scans the table itself. */
  readonly index: string | null;
  /** The terms of the search, such as `(status=? AND created_at>?)`. Empty if the whole index is read in order. */
  readonly terms: string;
  /** Whether the index has all columns that the statement needs, so that no row of the table is read. */
  readonly covering: boolean;
  /** Whether all rows are sorted before the first one is returned. */
  readonly sorted: boolean;
}

/** Wraps a client so that it records the text of its statements. */
export function recordStatements(client: LocalClient): {
  readonly client: LocalClient;
  /** The distinct statements that `operation` sends. */
  sentBy(operation: () => Promise<unknown>): Promise<string[]>;
} {
  const sent = new Set<string>();
  const noting =
    <Result>(run: (statements: readonly Statement[]) => Result) =>
    (statements: readonly Statement[]): Result => {
      for (const { sql } of statements) sent.add(sql);
      return run(statements);
    };
  const recorded: Partial<LocalClient> = {
    read: noting((statements) => client.read(statements)),
    write: noting((statements) => client.write(statements)),
    begin: async () => {
      const transaction = await client.begin();
      return replaceMembers(transaction, {
        run: noting((statements) => transaction.run(statements)),
      });
    },
  };
  return {
    client: replaceMembers(client, recorded),
    async sentBy(operation) {
      sent.clear();
      await operation();
      return [...sent];
    },
  };
}

function replaceMembers<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(object, name) {
      const member: unknown = Reflect.get(members, name) ?? Reflect.get(object, name, object);
      return typeof member === "function" ? (member.bind(object) as unknown) : member;
    },
  });
}

const tables = new Set([
  "workflow_runs",
  "step_executions",
  "step_attempts",
  "step_outputs",
  "workflow_state",
  "workflow_pauses",
]);
const walkPattern =
  /^(?:SCAN|SEARCH) (\w+)(?: USING (COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY))?(?: (\(.*\)))?/;

/** The scans and searches of our tables in SQLite's plan for a statement, without those of subqueries' results. */
export async function explainWalks(client: LocalClient, sql: string): Promise<Walk[]> {
  const { rows } = await client.execute(`explain query plan ${sql}`);
  const nodes = rows.map(({ parent, detail }) => ({
    parent: Number(parent),
    detail: detail as string,
  }));
  return nodes.flatMap(({ parent, detail }) => {
    const [, table = "", covering, index, terms] = walkPattern.exec(detail) ?? [];
    if (!tables.has(table)) return [];
    const sorted = nodes.some(
      (other) => other.parent === parent && /^USE TEMP B-TREE FOR (ORDER|GROUP)/.test(other.detail),
    );
    return [
      { table, index: index ?? null, terms: terms ?? "", covering: covering !== undefined, sorted },
    ];
  });
}
