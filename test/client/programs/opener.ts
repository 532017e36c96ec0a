import { createClient } from "../../../src/client/create-client.ts";

const [url = "", startAt = "0"] = process.argv.slice(2);
// All processes begin in the same millisecond.
await new Promise((resolve) => setTimeout(resolve, Number(startAt) - Date.now() - 10));
while (Date.now() < Number(startAt));
try {
  const client = createClient({ url });
  await client.executeMultiple("create table if not exists t (a)");
  await client.execute("insert into t values (1)");
  await client.execute("select * from t");
  client.close();
} catch (error) {
  process.send?.({ failed: String(error) });
}
