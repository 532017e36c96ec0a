import { createClient } from "../../../src/client/create-client.ts";

interface Round {
  readonly url: string;
  readonly startAt: number;
  readonly round: number;
}

process.on("message", ({ url, startAt, round }: Round) => {
  void open(url, startAt).then((failed) => process.send?.({ round, failed }));
});
process.send?.({ round: -1, failed: null });

/** Opens a file at a time and writes to it. Resolves with the error, or null. */
async function open(url: string, startAt: number): Promise<string | null> {
  // All processes begin in the same millisecond.
  await new Promise((resolve) => setTimeout(resolve, startAt - Date.now() - 10));
  while (Date.now() < startAt);
  try {
    const client = createClient({ url });
    await client.executeMultiple("create table if not exists t (a)");
    await client.execute("insert into t values (1)");
    await client.execute("select * from t");
    client.close();
    return null;
  } catch (error) {
    return String(error);
  }
}
