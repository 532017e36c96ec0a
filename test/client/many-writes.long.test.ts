import { expect, test } from "vitest";
import { pause } from "../../src/async/pause.ts";
import { createClient } from "../../src/client/create-client.ts";
import { temporaryFolder } from "../support/temporary.ts";

test("settles 200,000 writes that wait for a lock when it is released", async () => {
  const folder = await temporaryFolder();
  const client = createClient({
    url: folder.database(),
    durability: "normal",
    busyTimeoutMs: 2000,
  });
  const other = createClient(folder.database());
  try {
    await client.execute("create table t (id integer primary key)");
    const lock = await other.transaction("write");
    const write = (id: number) => client.execute({ sql: "insert into t values (?)", args: [id] });
    const first = expect(write(-1)).rejects.toMatchObject({ code: "STORE_BUSY" });
    // They are younger than the first one, and still wait when it is rejected.
    await pause(1000);
    const settled = Promise.allSettled(Array.from({ length: 200_000 }, (_, id) => write(id)));
    await first;
    await lock.rollback();
    await write(-2);
    const stored = (await settled).filter(({ status }) => status === "fulfilled").length;
    const { rows } = await client.execute("select count(*) as count from t");
    expect(rows).toEqual([{ count: stored + 1 }]);
  } finally {
    client.close();
    other.close();
    await folder.remove();
  }
});
