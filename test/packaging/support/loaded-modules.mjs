// Imports a module and prints the modules and native modules that were loaded. Arguments: the specifier; "memory" to
// also run a workflow on a MemoryStore.
import { register } from "node:module";
import { MessageChannel } from "node:worker_threads";

const { port1, port2 } = new MessageChannel();
const modules = new Set();
const askedByThePackage = new Set();
port1.on("message", ({ url, isOurs }) => {
  modules.add(url);
  if (isOurs) askedByThePackage.add(url);
});
port1.unref();

const hooks = `
  let port;
  export function initialize(data) { port = data.port; }
  export async function resolve(specifier, context, next) {
    const { url, ...rest } = await next(specifier, context);
    port.postMessage({ url, isOurs: context.parentURL?.includes("/node_modules/gorkflow/") ?? false });
    return { url, ...rest };
  }`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`, {
  data: { port: port2 },
  transferList: [port2],
});

const [specifier, use] = process.argv.slice(2);
const imported = await import(specifier);
if (use === "memory") {
  const engine = new imported.Engine(new imported.MemoryStore());
  const { z } = await import("zod");
  const schema = z.number();
  const step = imported.defineStep({ id: "s", input: schema, output: schema, run: (n) => n });
  await engine.run(imported.defineWorkflow({ id: "w" }).step(step).build(), 1);
  await engine.close();
}
// The hooks run in another thread, whose messages arrive later.
await new Promise((resolve) => setTimeout(resolve, 50));
const nativeModules = process.report
  .getReport()
  .sharedObjects.filter((path) => path.endsWith(".node"));
process.stdout.write(
  JSON.stringify({
    modules: [...modules],
    askedByThePackage: [...askedByThePackage],
    nativeModules,
  }),
);
process.exit();
