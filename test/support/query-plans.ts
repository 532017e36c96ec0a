import type { LocalClient, Statement } from "../../src/client/local-client.ts";

/** One way in which a statement goes through a table. */
export interface Walk {
  readonly table: string;
  /** Null for the table itself, from end to end. */
  readonly index: string | null;
  /** What the index is searched by: `(status=? AND created_at>?)`. Empty when all of it is read, in order. */
  readonly terms: string;
  /** The index has all that the statement asks for: no row of the table is read. */
  readonly covering: boolean;
  /** The rows found are sorted, all of them, before the first one is answered. */
  readonly sorted: boolean;
}

/** A client that also notes the text of every statement. */
export function recordStatements(client: LocalClient): {
  readonly client: LocalClient;
  /** The statements that `operation` sends, each once. */
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
]);
const walkPattern =
  /^(?:SCAN|SEARCH) (\w+)(?: USING (COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY))?(?: (\(.*\)))?/;

/** How SQLite goes through our tables for a statement. Subqueries and values that come with it are left out. */
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
