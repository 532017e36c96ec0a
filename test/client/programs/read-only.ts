// Opens a file that it may not write, and says what came of a read and of a write.
import { createClient } from "../../../src/client/create-client.ts";

const [url = ""] = process.argv.slice(2);
const attempt = async (work: () => Promise<unknown>) => {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: (error as { code?: string }).code };
  }
};
const client = createClient(url);
const read = await attempt(
  async () => (await client.execute("select count(*) from entries")).rows[0]?.[0],
);
const write = await attempt(() => client.execute("insert into entries (id) values (2)"));
const again = await attempt(
  async () => (await client.execute("select count(*) from entries")).rows[0]?.[0],
);
process.send?.({ read, write, again });
process.disconnect?.();
