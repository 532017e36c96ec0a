// Watches a run that nobody executes, and stops in the given way. The process must then end. Arguments: URL, run, way.
import { Engine, LibSQLStore } from "../../../src/index.ts";

const [url = "", runId = "", way = ""] = process.argv.slice(2);
const engine = new Engine(await LibSQLStore.open(url));

switch (way) {
  case "break":
    for await (const _ of engine.watch(runId)) break;
    break;
  case "abort": {
    const controller = new AbortController();
    const watch = engine.watch(runId, { signal: controller.signal });
    await watch.next();
    const next = watch.next();
    controller.abort(new Error("enough"));
    await next.catch((error: unknown) => process.send?.({ ended: String(error) }));
    break;
  }
  case "return": {
    const watch = engine.watch(runId);
    await watch.next();
    const next = watch.next();
    await watch.return();
    process.send?.({ ended: await next });
    break;
  }
  default:
    throw new TypeError(`there is no way ${way}`);
}
