import { createReader } from "../../../src/client/reader.ts";

const [url = ""] = process.argv.slice(2);
const reader = createReader(url);
const query = reader.execute(
  "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c",
);
query.catch(() => undefined);
setTimeout(() => {
  reader.close();
  process.disconnect();
}, 100);
