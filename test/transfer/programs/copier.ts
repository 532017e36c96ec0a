// Copies one store to another, resuming, and says how far it is and what it took. Arguments: URLs of both.
import { openStore } from "../../../src/open-store.ts";
import { copyStore } from "../../../src/transfer/index.ts";

const [fromUrl = "", toUrl = ""] = process.argv.slice(2);
const [from, to] = [await openStore(fromUrl), await openStore(toUrl)];
const begun = performance.now();
const report = await copyStore(from, to, {
  resume: true,
  onProgress: ({ copied }) => process.send?.({ copied }),
});
process.send?.({
  report,
  ms: performance.now() - begun,
  peakBytes: process.resourceUsage().maxRSS * 1024,
});
await from.close();
await to.close();
process.disconnect();
