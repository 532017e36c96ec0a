// Writes rows to a file as fast as it can and says which were acknowledged.
// Arguments: url, name of the writer, number of writes (0: until it is killed), durability.
import { createClient } from "../../../src/client/create-client.ts";

const [url = "", name = "", count = "0", durability = "full"] = process.argv.slice(2);
const client = createClient({ url, durability: durability as "full" | "normal" });
const limit = Number(count) || Infinity;
process.send?.({ ready: true });

/** Writes one by one, groups of two that must stay together, and interactive transactions. */
async function write(lane: number): Promise<void> {
  for (let number = lane; number < limit; number += lanes) {
    const id = `${name}-${number}`;
    const insert = { sql: "insert into entries (id, half) values (?, ?)", args: [id, 0] };
    const other = { sql: insert.sql, args: [id, 1] };
    if (number % 3 === 0) {
      const transaction = await client.transaction();
      await transaction.execute(insert);
      await transaction.execute(other);
      await transaction.commit();
    } else if (number % 3 === 1) {
      await client.batch([insert, other], "write");
    } else {
      await client.write([insert, other]);
    }
    process.send?.({ acknowledged: id });
  }
}

const lanes = 8;
await Promise.all(Array.from({ length: lanes }, (_, lane) => write(lane)));
client.close();
process.disconnect?.();
